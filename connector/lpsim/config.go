package lpsim

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// EventType is one of the five notification types an app installation can subscribe to (Webhooks Configuration).
type EventType string

// The five types.
const (
	ContentEvents      EventType = "ms.MessagingEventNotification.ContentEvent"
	RichContentEvents  EventType = "ms.MessagingEventNotification.RichContentEvent"
	AcceptStatusEvents EventType = "ms.MessagingEventNotification.AcceptStatusEvent"
	ChatStateEvents    EventType = "ms.MessagingEventNotification.ChatStateEvent"
	ConversationEvents EventType = "cqm.ExConversationChangeNotification"
)

// eventTypes lists the five types.
func eventTypes() []EventType {
	return []EventType{ContentEvents, RichContentEvents, AcceptStatusEvents, ChatStateEvents, ConversationEvents}
}

// Endpoint is where one event type goes.
type Endpoint struct {
	URL string `json:"url"`
	// MaxRetries overrides Webhooks.MaxRetries. An explicit 0 beside a retention time means that failures of this
	// type are dropped and do not make the app fail (Webhooks Retry Policy).
	MaxRetries *int              `json:"maxRetries,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
}

// Webhooks is the webhook part of an app installation (Webhooks Configuration).
type Webhooks struct {
	// URL receives every event type without an endpoint of its own; empty means only those of Endpoints are sent.
	URL       string                 `json:"url,omitempty"`
	Endpoints map[EventType]Endpoint `json:"endpoints,omitempty"`
	// Headers are sent to every endpoint.
	Headers map[string]string `json:"headers,omitempty"`
	// MaxRetries, 0 to 5, repeats a failed notification that often, 30 s apart.
	MaxRetries int `json:"maxRetries,omitempty"`
	// RetentionSeconds, 2 to 259200, chooses the time-to-live policy instead: 2, 4, 8 … 300 s apart, for the whole app.
	RetentionSeconds int `json:"retentionSeconds,omitempty"`
	// SHA256 signs with sha256= instead of sha1=.
	SHA256 bool `json:"sha256,omitempty"`
}

// Validate reports the first field that LivePerson would not take, by its JSON name.
func (w Webhooks) Validate() error {
	if err := checkURL("url", w.URL); err != nil {
		return err
	}
	if w.MaxRetries < 0 || w.MaxRetries > 5 {
		return &FieldError{"maxRetries", "want a number from 0 to 5"}
	}
	if w.RetentionSeconds != 0 && (w.RetentionSeconds < 2 || w.RetentionSeconds > 259200) {
		return &FieldError{"retentionSeconds", "want 0 or a number from 2 to 259200"}
	}
	for _, kind := range slices.Sorted(maps.Keys(w.Endpoints)) {
		if err := w.Endpoints[kind].validate(kind); err != nil {
			return err
		}
	}
	return nil
}

func (e Endpoint) validate(kind EventType) error {
	name := "endpoints." + string(kind)
	if !slices.Contains(eventTypes(), kind) {
		return &FieldError{name, "not an event type"}
	}
	if e.MaxRetries != nil && (*e.MaxRetries < 0 || *e.MaxRetries > 5) {
		return &FieldError{name + ".maxRetries", "want a number from 0 to 5"}
	}
	return checkURL(name+".url", e.URL)
}

func checkURL(field, text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return &FieldError{field, "want an http or https URL"}
	}
	return nil
}

// endpoint is where an event type goes, with the app's defaults filled in.
func (w Webhooks) endpoint(kind EventType) (Endpoint, bool) {
	e, ok := w.Endpoints[kind]
	if !ok {
		e = Endpoint{URL: w.URL}
	}
	return e, e.URL != ""
}

func (w Webhooks) retries(e Endpoint) int {
	if e.MaxRetries != nil {
		return *e.MaxRetries
	}
	return w.MaxRetries
}

// Config is an app installation on one account, and the simulator's own limits.
type Config struct {
	// Account is the account (site, brand) id. Default "sandbox".
	Account string
	// ClientID is the app install id. Default "sandbox-client".
	ClientID string
	// ClientSecret is the app's secret, which also signs webhooks. Default "sandbox-secret".
	ClientSecret string
	// Admin is the login name of the account's administrator, who may have any password: the simulator asks nobody who
	// they are. Default "admin".
	Admin string
	// Host is the host:port the domain API answers with. Default: the Host header of the request.
	Host string
	// Webhooks is where notifications go; changeable later with SetWebhooks.
	Webhooks Webhooks
	// WebhookClient sends notifications. Default: a client of the simulator's own.
	WebhookClient *http.Client
	// WebhookConcurrency is how many notifications are on their way at once. Default 32.
	WebhookConcurrency int
	// Faults start in force; changeable later with SetFaults.
	Faults Faults
	// Script answers for the agents; changeable later with SetScript.
	Script Script
	// Survey is the post-conversation survey of the account; nil means none is configured. The management API can
	// still ask for one, and then gets DefaultSurvey.
	Survey *Survey
	// MaxTranscript is how many events of one conversation are kept, and how many chat states and receipts; the
	// oldest go first. Default 2000.
	MaxTranscript int
	// MaxConversations is how many conversations are kept; the oldest closed ones go first, open ones never.
	// Default 100000.
	MaxConversations int
	// MaxFileBytes is how many bytes of files are kept; the oldest files go first. Default 256 MiB.
	MaxFileBytes int64
	// Now is the clock of tokens, URLs and time stamps. Default time.Now. Delays are measured by
	// real time; see [Sim.Advance].
	Now func() time.Time
	// Logger receives lifecycle and webhook failures, never texts or tokens. Default: none.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Account = orElse(c.Account, "sandbox")
	c.ClientID = orElse(c.ClientID, "sandbox-client")
	c.ClientSecret = orElse(c.ClientSecret, "sandbox-secret")
	c.Admin = orElse(c.Admin, "admin")
	c.WebhookConcurrency = orElse(c.WebhookConcurrency, 32)
	c.MaxTranscript = orElse(c.MaxTranscript, 2000)
	c.MaxConversations = orElse(c.MaxConversations, 100_000)
	c.MaxFileBytes = orElse(c.MaxFileBytes, 256<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Logger = orElse(c.Logger, slog.New(slog.DiscardHandler))
	return c
}

func orElse[T comparable](value, other T) T {
	var zero T
	if value == zero {
		return other
	}
	return value
}

// Validate reports the first setting that cannot work, by its field name.
func (c Config) Validate() error {
	for name, value := range map[string]string{"Account": c.Account, "ClientID": c.ClientID} {
		if url.PathEscape(value) != value {
			return &FieldError{name, "has characters that do not belong in a URL path"}
		}
	}
	if err := c.Webhooks.Validate(); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if err := c.Faults.Validate(); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	if err := c.Script.Validate(); err != nil {
		return fmt.Errorf("script: %w", err)
	}
	return nil
}
