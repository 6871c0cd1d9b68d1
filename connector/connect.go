package connector

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"lpbridge/lpauth"
)

// ConnectOptions are an app installation and how to reach LivePerson for it
// ("Getting started with Connector API" guide).
type ConnectOptions struct {
	// AccountID and ClientID are required, and one of ClientSecret and Secrets.
	AccountID    AccountID
	ClientID     string
	ClientSecret string
	// Secrets are client secrets that may be replaced while the program runs.
	Secrets lpauth.SecretSource
	// DomainURL is the domain API's address; empty means LivePerson's own.
	DomainURL string
	// AllowPlainHTTP permits plain http to hosts other than this machine.
	AllowPlainHTTP bool
	// Transport may be nil for one of its own.
	Transport http.RoundTripper
	// Features, Documents, Timeout, UserAgent and Logger are those of
	// [Options]. UserAgent is said on the token and domain calls too.
	Features  []string
	Documents bool
	Timeout   time.Duration
	UserAgent string
	Logger    *slog.Logger
}

// Connection is a [Client] with all it stands on, for one app installation. Close
// it at the end.
type Connection struct {
	*Client
	secrets   *lpauth.Secrets
	domains   *lpauth.Domains
	app       *lpauth.AppTokens
	consumers *lpauth.ConsumerTokens
}

// Connect makes a connection; it makes no request. Who needs the parts apart, to
// share or replace them, makes them with package lpauth and calls [New].
func Connect(o ConnectOptions) (*Connection, error) {
	if o.Transport == nil {
		o.Transport = lpauth.NewTransport(lpauth.TransportOptions{})
	}
	if o.Secrets == nil {
		if o.ClientSecret == "" {
			return nil, errors.New("connector: client secret is empty")
		}
		o.Secrets = lpauth.FixedSecret(o.ClientSecret)
	}
	var c Connection
	var err error
	if c.secrets, err = lpauth.NewSecrets(o.Secrets, o.Logger); err != nil {
		return nil, err
	}
	if c.domains, err = lpauth.NewDomains(lpauth.DomainsOptions{
		AccountID: o.AccountID, URL: o.DomainURL, AllowPlainHTTP: o.AllowPlainHTTP, Transport: o.Transport, UserAgent: o.UserAgent, Logger: o.Logger,
	}); err != nil {
		return nil, err
	}
	if c.app, err = lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: o.AccountID, ClientID: o.ClientID, Secrets: c.secrets, Domains: c.domains, Transport: o.Transport, UserAgent: o.UserAgent, Logger: o.Logger,
	}); err != nil {
		return nil, err
	}
	if c.consumers, err = lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: o.AccountID, Domains: c.domains, AppTokens: c.app, Transport: o.Transport, UserAgent: o.UserAgent,
	}); err != nil {
		return nil, err
	}
	c.Client, err = New(Options{
		AccountID: o.AccountID, ClientID: o.ClientID, Domains: c.domains, AppTokens: c.app, Consumers: c.consumers, Transport: o.Transport,
		Features: o.Features, Documents: o.Documents, Timeout: o.Timeout, UserAgent: o.UserAgent, Logger: o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Close cancels what is under way in the background and waits for it.
func (c *Connection) Close() {
	c.consumers.Close()
	c.app.Close()
	c.domains.Close()
}

// Webhook receives this app installation's notifications.
func (c *Connection) Webhook(handle NotificationHandler) *Webhook {
	return &Webhook{AccountID: c.account, ClientID: c.clientID, Verify: c.verify, Handle: handle}
}

func (c *Connection) verify(header string, body []byte) error { return c.secrets.Verify(header, body) }
