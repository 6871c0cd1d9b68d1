package lpauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// DefaultDomainURL is LivePerson's domain API ("Domain API" page).
const DefaultDomainURL = "https://api.liveperson.net"

// Names of LivePerson's services. They are case-sensitive.
const (
	ServiceSentinel   = "sentinel"
	ServiceIDP        = "idp"
	ServiceMessaging  = "asyncMessagingEnt"
	ServiceSwift      = "swift"
	ServiceMonitoring = "smt"
	// ServiceAgentProfiles tells everybody agents' names ("Get Agent Public
	// Profile" page).
	ServiceAgentProfiles = "acCdnDomain"
)

const (
	// domainTTL is how long an answer is fresh, domainFloor the least time between
	// two lookups, whatever is invalidated or fails in between.
	domainTTL         = time.Hour
	domainFloor       = 5 * time.Second
	domainAnswerLimit = 1 << 20
	domainOp          = "domain lookup"
)

// DomainsOptions configure NewDomains.
type DomainsOptions struct {
	// AccountID is required.
	AccountID AccountID
	// URL is the domain API's scheme, host and port; empty means
	// DefaultDomainURL. Its scheme becomes that of all base URIs.
	URL string
	// AllowPlainHTTP permits plain http to hosts other than this machine.
	AllowPlainHTTP bool
	// Transport may be nil for a transport of its own.
	Transport http.RoundTripper
	// UserAgent may be empty for DefaultUserAgent.
	UserAgent string
	// Logger may be nil for silence.
	Logger *slog.Logger
}

// Domains looks up where LivePerson serves an account, and remembers it.
type Domains struct {
	account AccountID
	api     *url.URL
	plainOK bool
	agent   string
	client  *retryablehttp.Client
	log     *slog.Logger

	known   atomic.Pointer[domainTable]
	flights flights[string, *domainTable]

	mu sync.Mutex
	// tried is when each service was last asked for, "" being the list.
	tried      map[string]lastTry
	complaints complaints
}

// domainTable is never changed once it is shared.
type domainTable struct {
	bases map[string]string
	// until is when it should be looked up again; usable meanwhile unless suspect.
	until   time.Time
	suspect bool
}

type lastTry struct {
	at  time.Time
	err error
}

// NewDomains checks the options; it makes no request.
func NewDomains(o DomainsOptions) (*Domains, error) {
	if o.AccountID == "" {
		return nil, errors.New("domains: account id is empty")
	}
	if url.PathEscape(string(o.AccountID)) != string(o.AccountID) {
		return nil, errors.New("domains: account id holds characters that no account id has")
	}
	if o.URL == "" {
		o.URL = DefaultDomainURL
	}
	api, err := url.Parse(o.URL)
	if err != nil || (api.Scheme != "https" && api.Scheme != "http") || api.Host == "" {
		return nil, errors.New("domains: domain api url must be http(s)://host[:port]")
	}
	if api.User != nil || api.RawQuery != "" || api.Fragment != "" {
		return nil, errors.New("domains: domain api url must not hold a user, a query or a fragment")
	}
	d := &Domains{
		account: o.AccountID, api: api, plainOK: o.AllowPlainHTTP,
		agent: orDefault(o.UserAgent), client: repeating(o.Transport), log: o.Logger, tried: make(map[string]lastTry),
	}
	if err := d.checkHost(api.Host); err != nil {
		return nil, fmt.Errorf("domains: domain api url: %w", err)
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

// BaseURL gives "scheme://host[:port]" of a service, from memory when it can.
// An answer past its time is used once more while a new one is fetched; after
// [Domains.Invalidate] the caller waits for the new one, and gets the old one
// only if there is no new one to be had. The error matches [ErrNoService] when
// LivePerson does not know the service.
func (d *Domains) BaseURL(ctx context.Context, service string) (string, error) {
	table := d.known.Load()
	if table != nil && !table.suspect {
		if base, ok := table.bases[service]; ok {
			if !time.Now().Before(table.until) {
				d.refresh(ctx, "")
				if d.lastError("") != nil {
					d.refresh(ctx, service)
				}
			}
			return base, nil
		}
	}
	return d.find(ctx, service)
}

// Invalidate says that connecting failed: the next call looks up again, but
// never sooner than the floor after the last lookup.
func (d *Domains) Invalidate() {
	for {
		old := d.known.Load()
		if old == nil || old.suspect {
			return
		}
		if d.known.CompareAndSwap(old, &domainTable{bases: old.bases, until: old.until, suspect: true}) {
			return
		}
	}
}

// Close cancels a lookup under way and waits for it.
func (d *Domains) Close() { d.flights.close() }

// find asks for the list, and for the service alone when the list did not help.
func (d *Domains) find(ctx context.Context, service string) (string, error) {
	err := d.ask(ctx, "")
	if ctx.Err() == nil && (err != nil || d.base(service) == "") && otherFormMayHelp(err) {
		err = betterError(err, d.ask(ctx, service))
	}
	if ctx.Err() != nil {
		return "", &Error{Op: domainOp, Err: ctx.Err()}
	}
	// What was known before is better than nothing, if nothing new was found.
	if base := d.base(service); base != "" {
		return base, nil
	}
	return "", d.unfound(service, err)
}

// ask waits for a lookup, or gives the result of one that is too recent to repeat.
func (d *Domains) ask(ctx context.Context, form string) error {
	if flight := d.refresh(ctx, form); flight != nil {
		_, err := flight.wait(ctx)
		return err
	}
	return d.lastError(form)
}

// base is what is known of a service, empty if nothing.
func (d *Domains) base(service string) string {
	if table := d.known.Load(); table != nil {
		return table.bases[service]
	}
	return ""
}

// unfound names what was looked for, keeping what LivePerson said about it.
func (d *Domains) unfound(service string, cause error) *Error {
	failed := &Error{Op: domainOp}
	if inner, ok := errors.AsType[*Error](cause); ok {
		failed.StatusCode, failed.Between, failed.RetryAfter, cause = inner.StatusCode, inner.Between, inner.RetryAfter, inner.Err
	}
	if cause == nil {
		cause = ErrNoService
	}
	failed.Err = fmt.Errorf("account %s: service %s: %w", d.account, service, cause)
	return failed
}

// otherFormMayHelp is true when LivePerson answered, but not with the service.
func otherFormMayHelp(err error) bool {
	if err == nil || errors.Is(err, ErrNoService) {
		return true
	}
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.StatusCode >= 400 && failed.StatusCode < 500 && failed.StatusCode != http.StatusTooManyRequests
}

// betterError keeps the first error, unless it only says "not in the list".
func betterError(first, second error) error {
	if first == nil || errors.Is(first, ErrNoService) && second != nil {
		return second
	}
	return first
}

func (d *Domains) lastError(form string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tried[form].err
}

// refresh starts a lookup of the list (form "") or of one service, or joins the
// one under way. It is nil when the last one was too recent.
func (d *Domains) refresh(ctx context.Context, form string) *flight[*domainTable] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last, ok := d.tried[form]; ok && time.Since(last.at) < domainFloor && !d.flights.under(form) {
		return nil
	}
	return d.flights.start(ctx, form, func(ctx context.Context) (*domainTable, error) {
		table, err := d.lookUp(ctx, form)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.tried[form] = lastTry{at: time.Now(), err: err}
		if err != nil {
			if d.complaints.note(err) {
				d.log.LogAttrs(ctx, slog.LevelWarn, "domain lookup failed", slog.String("account", string(d.account)), slog.Any("error", err))
			}
			return nil, err
		}
		d.complaints.over()
		d.store(form, table)
		return table, nil
	})
}

// store is called with the lock held. A list replaces what was known, so that a
// service LivePerson took away is gone; a single answer is added to it.
func (d *Domains) store(form string, found *domainTable) {
	if form != "" {
		if old := d.known.Load(); old != nil {
			bases := maps.Clone(old.bases)
			maps.Copy(bases, found.bases)
			found = &domainTable{bases: bases, until: found.until}
			if old.until.After(time.Now()) {
				found.until = old.until
			}
		}
	}
	d.known.Store(found)
}

func (d *Domains) lookUp(ctx context.Context, form string) (*domainTable, error) {
	at := *d.api
	path := strings.TrimSuffix(at.Path, "/") + "/api/account/" + string(d.account) + "/service"
	if form != "" {
		path += "/" + form
	}
	at.Path = path + "/baseURI.json"
	at.RawQuery = "version=1.0"
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, &Error{Op: domainOp, Err: errors.New("account id does not fit into a url")}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", d.agent)
	got, err := exchange(d.client, req, domainAnswerLimit)
	if err != nil {
		return nil, &Error{Op: domainOp, StatusCode: got.status, Err: err}
	}
	switch got.status {
	case http.StatusOK:
		return d.decode(ctx, form, got.body)
	case http.StatusBadRequest, http.StatusNotFound:
		if bytes.HasPrefix(bytes.TrimSpace(got.body), []byte("<")) {
			// A proxy's page says nothing of the account's services.
			return nil, refusal(domainOp, got)
		}
		return nil, &Error{Op: domainOp, StatusCode: got.status, Err: ErrNoService}
	}
	return nil, refusal(domainOp, got)
}

// decode reads {"baseURIs":[...]} or, for one service, also the bare element.
func (d *Domains) decode(ctx context.Context, form string, body []byte) (*domainTable, error) {
	type entry struct {
		Service string `json:"service"`
		BaseURI string `json:"baseURI"`
	}
	var list struct {
		entry
		BaseURIs []entry `json:"baseURIs"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, &Error{Op: domainOp, StatusCode: http.StatusOK, Err: errors.New("answer is not the expected json")}
	}
	if list.BaseURI != "" && list.Service == "" {
		list.Service = form
	}
	table := &domainTable{bases: make(map[string]string), until: time.Now().Add(domainTTL)}
	for _, e := range append(list.BaseURIs, list.entry) {
		if e.Service == "" || e.BaseURI == "" || form != "" && e.Service != form {
			continue
		}
		base, err := d.complete(e.BaseURI)
		if err != nil {
			// One odd entry among hundreds must not hide the rest.
			d.log.LogAttrs(ctx, slog.LevelWarn, "domain ignored", slog.String("account", string(d.account)),
				slog.String("service", e.Service), slog.Any("error", err))
			continue
		}
		table.bases[e.Service] = base
	}
	if len(table.bases) == 0 {
		return nil, ErrNoService
	}
	return table, nil
}

// complete adds the scheme of the domain API to a bare host.
func (d *Domains) complete(host string) (string, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, d.api.Scheme+"://"), "/")
	at, err := url.Parse(d.api.Scheme + "://" + host)
	if err != nil || at.Host != host || at.Hostname() == "" {
		return "", errors.New("base uri is not host[:port]")
	}
	if err := d.checkHost(host); err != nil {
		return "", err
	}
	return d.api.Scheme + "://" + host, nil
}

// checkHost refuses to send credentials in the clear over a network.
func (d *Domains) checkHost(host string) error {
	if d.api.Scheme == "https" || d.plainOK {
		return nil
	}
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.Trim(name, "[]")
	if ip := net.ParseIP(name); name == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("plain http is allowed to this machine only")
}
