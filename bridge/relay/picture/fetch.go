// Package picture gets consumers' pictures, and documents, from wherever a channel
// says they lie, decides whether LivePerson takes them, and makes previews. An
// address is a stranger's word: every connection is checked when it is made, and
// nothing is believed of a file but its bytes. It assumes that the machine's
// resolver says where an address leads, and that LivePerson's pages tell which types
// and sizes it takes.
package picture

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"code.dny.dev/ssrf"

	"lpbridge/connector"
)

const (
	// fetchTime bounds the fetching of one attachment, redirects included.
	fetchTime = 15 * time.Second
	// fetchSlots is how many attachments are fetched and sent at once: each holds
	// a file in memory, and a slow file host must not take every worker.
	fetchSlots = 32
	// FetchBusyPause is the time between two tries to get a slot.
	FetchBusyPause = time.Second
	// fetchRedirects is how often a file host may send us elsewhere.
	fetchRedirects = 3
	// sniffed is how much of a file tells what it is.
	sniffed = 512
)

// Reason says why an attachment goes to LivePerson as a link. It is a metric
// label and the only thing a log says of it.
type Reason string

// The reasons. Those that may pass are tried a few times first.
const (
	notTakenType    Reason = "type"
	tooManyBytes    Reason = "size"
	tooManyPixels   Reason = "pixels"
	refusedAddress  Reason = "address"
	tooManyHops     Reason = "redirects"
	fileGone        Reason = "gone"
	fileUnreachable Reason = "unreachable"
	NotStored       Reason = "not_stored"
	NotTaken        Reason = "refused"
)

// FetchError is why an attachment could not be fetched. It says nothing of the
// address, whose query may be a credential.
type FetchError struct {
	Reason Reason
	// Passing is true when another try may work.
	Passing bool
}

// Error implements error.
func (e *FetchError) Error() string { return "fetch an attachment: " + string(e.Reason) }

// Fetcher gets attachments from wherever a channel says they lie. An address is
// a stranger's word, so nothing is believed of it: every connection's address is
// checked when it is made, redirects and changing names included.
type Fetcher struct {
	// UserAgent is what hosts of files are told of us. It may be set before the first
	// file is fetched.
	UserAgent string

	client *http.Client
	slots  chan struct{}
	// documents says that the account takes them too.
	documents bool
}

// NewFetcher makes a fetcher. Files under home, our own public address, are asked
// of own directly: that needs no exemption from the guard, and works where the
// public address is not reachable from inside. With documents they are fetched too.
// Without a guard nothing else is fetched, and no name is even looked up.
func NewFetcher(guard *Guard, home *url.URL, own http.Handler, documents bool) *Fetcher {
	network := &http.Transport{
		// With a proxy only the proxy's address would be checked.
		Proxy:             nil,
		DialContext:       guarded(guard),
		ForceAttemptHTTP2: true, DisableCompression: true,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConns: fetchSlots, IdleConnTimeout: 30 * time.Second,
	}
	most := connector.MaxUploadBytes
	if documents {
		most = connector.MaxDocumentBytes
	}
	return &Fetcher{
		UserAgent: "lpbridge",
		client:    &http.Client{Transport: &atHome{home: home, own: own, elsewhere: network, most: most}, CheckRedirect: followable},
		slots:     make(chan struct{}, fetchSlots), documents: documents,
	}
}

// guarded dials what a guard permits.
func guarded(guard *Guard) func(context.Context, string, string) (net.Conn, error) {
	if guard == nil {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &FetchError{Reason: refusedAddress}
		}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, Control: guard.safe}
	return dialer.DialContext
}

// Close ends idle connections.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

func followable(r *http.Request, via []*http.Request) error {
	if len(via) > fetchRedirects {
		return &FetchError{Reason: tooManyHops}
	}
	// An address may hold a credential that is none of the next host's business.
	r.Header.Del("Referer")
	return fetchable(r.URL)
}

func fetchable(u *url.URL) error {
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return &FetchError{Reason: refusedAddress}
	}
	return nil
}

// Slot reserves the right to fetch; false means that all are taken.
func (f *Fetcher) Slot() (release func(), ok bool) {
	select {
	case f.slots <- struct{}{}:
		return func() { <-f.slots }, true
	default:
		return nil, false
	}
}

// File fetches what LivePerson takes from a consumer. Errors are *[FetchError] or
// those of ctx.
func (f *Fetcher) File(ctx context.Context, address string) (*File, error) {
	bounded, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	accept := accepted
	if f.documents {
		accept += ", application/pdf, */*;q=0.5"
	}
	data, err := f.get(bounded, address, accept, f.readFile)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fetchErrorOf(err)
	}
	if f.documents && mayBeDocument(data) {
		if d := readDocument(data); d != nil {
			return d, nil
		}
		return nil, &FetchError{Reason: notTakenType}
	}
	p, reason := readPicture(data)
	if reason != "" {
		return nil, &FetchError{Reason: reason}
	}
	return p, nil
}

// Whole fetches a file of any kind that has at most so many bytes. Errors are
// *[FetchError] or those of ctx.
func (f *Fetcher) Whole(ctx context.Context, address string, most int64) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	data, err := f.get(bounded, address, "*/*", func(resp *http.Response) ([]byte, error) {
		if resp.ContentLength > most {
			return nil, &FetchError{Reason: tooManyBytes}
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
		if err == nil && int64(len(data)) > most {
			err = &FetchError{Reason: tooManyBytes}
		}
		return data, err
	})
	switch {
	case err == nil:
		return data, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fetchErrorOf(err)
}

func (f *Fetcher) get(ctx context.Context, address, accept string, read func(*http.Response) ([]byte, error)) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &FetchError{Reason: refusedAddress}
	}
	if err := fetchable(req.URL); err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", f.UserAgent)
	req.Header.Set("Accept", accept)
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := errorOfStatus(resp.StatusCode); err != nil {
		return nil, err
	}
	return read(resp)
}

// accepted are the types of pictures LivePerson takes ("File Sharing" page).
const accepted = "image/jpeg, image/png, image/gif"

// readFile reads a file that may be taken and stops early at anything else.
func (f *Fetcher) readFile(resp *http.Response) ([]byte, error) {
	var data bytes.Buffer
	if _, err := io.CopyN(&data, resp.Body, sniffed); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	limit := f.limit(data.Bytes())
	switch {
	case limit == 0:
		return nil, &FetchError{Reason: notTakenType}
	case resp.ContentLength > limit:
		return nil, &FetchError{Reason: tooManyBytes}
	}
	if _, err := data.ReadFrom(io.LimitReader(resp.Body, limit+1-int64(data.Len()))); err != nil {
		return nil, err
	}
	if int64(data.Len()) > limit {
		return nil, &FetchError{Reason: tooManyBytes}
	}
	return data.Bytes(), nil
}

// limit is how many bytes a file may have that begins like this, 0 for one that
// LivePerson does not take.
func (f *Fetcher) limit(head []byte) int64 {
	switch http.DetectContentType(head) {
	case "image/jpeg", "image/png", "image/gif":
		return connector.MaxUploadBytes
	}
	if f.documents && mayBeDocument(head) {
		return connector.MaxDocumentBytes
	}
	return 0
}

func errorOfStatus(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return &FetchError{Reason: fileUnreachable, Passing: true}
	}
	return &FetchError{Reason: fileGone}
}

// fetchErrorOf tells a failure that may pass from one that will not.
func fetchErrorOf(err error) *FetchError {
	if known, ok := errors.AsType[*FetchError](err); ok {
		return known
	}
	for _, refused := range []error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedNetwork, ssrf.ErrProhibitedPort, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refused) {
			return &FetchError{Reason: refusedAddress}
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return &FetchError{Reason: fileGone}
	}
	return &FetchError{Reason: fileUnreachable, Passing: true}
}

// atHome answers requests below home from our own handler, without a network.
type atHome struct {
	home      *url.URL
	own       http.Handler
	elsewhere *http.Transport
	// most is how many bytes any file may have.
	most int
}

// CloseIdleConnections ends those of the network.
func (a *atHome) CloseIdleConnections() { a.elsewhere.CloseIdleConnections() }

// RoundTrip implements [http.RoundTripper].
func (a *atHome) RoundTrip(r *http.Request) (*http.Response, error) {
	prefix, ours := a.below(r.URL)
	if !ours {
		return a.elsewhere.RoundTrip(r)
	}
	in := r.Clone(r.Context())
	in.Host, in.RequestURI, in.RemoteAddr, in.Body = r.URL.Host, r.URL.RequestURI(), "127.0.0.1:0", http.NoBody
	in.Header.Del("Authorization")
	answer := &kept{header: http.Header{}, most: a.most}
	if err := answer.from(http.StripPrefix(prefix, a.own), in); err != nil {
		return nil, err
	}
	return answer.response(r), nil
}

// below tells whether an address is one of ours, and the path it has in front
// of what our handler knows.
func (a *atHome) below(u *url.URL) (prefix string, ours bool) {
	if a.home == nil || u.Scheme != a.home.Scheme || !strings.EqualFold(hostPort(u), hostPort(a.home)) {
		return "", false
	}
	prefix = strings.TrimRight(a.home.Path, "/")
	return prefix, strings.HasPrefix(u.Path, prefix+"/")
}

// hostPort names the port also where the scheme says it.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// kept is an answer of our own handler, up to one byte more than a file may
// have.
type kept struct {
	status int
	header http.Header
	body   bytes.Buffer
	most   int
}

func (k *kept) Header() http.Header { return k.header }

func (k *kept) WriteHeader(status int) {
	if k.status == 0 && status >= http.StatusOK {
		k.status = status
	}
}

func (k *kept) Write(p []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	room := k.most + 1 - k.body.Len()
	n, _ := k.body.Write(p[:min(len(p), room)])
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// from lets the handler answer. A handler that gives up half-way is a connection
// that broke.
func (k *kept) from(h http.Handler, r *http.Request) (err error) {
	defer func() {
		switch lost := recover(); lost {
		case nil:
		case http.ErrAbortHandler:
			err = io.ErrUnexpectedEOF
			if k.body.Len() > k.most {
				err = &FetchError{Reason: tooManyBytes}
			}
		default:
			panic(lost)
		}
	}()
	h.ServeHTTP(k, r)
	if k.body.Len() > k.most {
		return &FetchError{Reason: tooManyBytes}
	}
	return r.Context().Err()
}

func (k *kept) response(r *http.Request) *http.Response {
	k.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: k.status, Status: http.StatusText(k.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: k.header, Body: io.NopCloser(&k.body), ContentLength: int64(k.body.Len()), Request: r,
	}
}
