// Command lpsim runs the LivePerson simulator of package lpsim as a process, for anyone who builds a connector, in
// any language. It keeps everything in memory, asks nobody for a password and is no substitute for LivePerson: it
// must never be reachable from outside.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/connector/lpsim"
)

// settings are the environment.
type settings struct {
	Listen           string        `env:"LPSIM_LISTEN,default=127.0.0.1:8090"`
	CAFile           string        `env:"LPSIM_CA_FILE"`
	Host             string        `env:"LPSIM_HOST"`
	Account          string        `env:"LPSIM_ACCOUNT_ID,default=sandbox"`
	ClientID         string        `env:"LPSIM_CLIENT_ID,default=sandbox-client"`
	ClientSecret     string        `env:"LPSIM_CLIENT_SECRET,default=sandbox-secret"`
	WebhookURL       string        `env:"LPSIM_WEBHOOK_URL"`
	WebhookRetries   int           `env:"LPSIM_WEBHOOK_RETRIES,default=0"`
	WebhookRetention int           `env:"LPSIM_WEBHOOK_RETENTION,default=0"`
	WebhookSHA256    bool          `env:"LPSIM_WEBHOOK_SHA256,default=false"`
	Seed             uint64        `env:"LPSIM_SEED,default=0"`
	Faults           string        `env:"LPSIM_FAULTS"`
	Survey           bool          `env:"LPSIM_SURVEY,default=false"`
	EchoTyping       time.Duration `env:"LPSIM_ECHO,default=0s"`
	MaxTranscript    int           `env:"LPSIM_MAX_TRANSCRIPT,default=2000"`
}

// stopTime bounds how long requests in progress are waited for at the end.
const stopTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(exitCode(run(ctx, envconfig.OsLookuper(), os.Stdout, os.Stderr, len(os.Args) > 1)))
}

// errUsage marks errors of the caller, which exit with 2.
var errUsage = errors.New("usage")

func exitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		return 2
	}
	return 1
}

func run(ctx context.Context, env envconfig.Lookuper, out, log io.Writer, arguments bool) error {
	logger := slog.New(slog.NewTextHandler(log, nil))
	config, s, err := load(ctx, env)
	if arguments {
		err = errors.New("lpsim takes no arguments, only LPSIM_ variables")
	}
	if err != nil {
		fmt.Fprintln(log, err)
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	config.Logger = logger
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		fmt.Fprintln(log, "LPSIM_LISTEN:", err)
		return err
	}
	scheme := "http"
	if s.CAFile != "" {
		if listener, err = secure(listener, s); err != nil {
			fmt.Fprintln(log, "LPSIM_CA_FILE:", err)
			return err
		}
		scheme = "https"
	}
	sim := lpsim.New(config)
	greet(out, config, scheme, listener.Addr().String())
	if s.CAFile != "" {
		fmt.Fprintln(out, "\nTrust the authority in", s.CAFile+", for example with curl --cacert.")
	}
	if !loopback(listener.Addr()) {
		logger.Warn("lpsim has no authentication and is reachable from other machines", "listen", listener.Addr().String())
	}
	return serve(ctx, sim, listener, logger)
}

// secure puts TLS around a listener, with a certificate of an authority made for this run. The authority is written down
// before anything is served, so that whoever waits for the port finds it.
func secure(listener net.Listener, s settings) (net.Listener, error) {
	authority, err := lpsim.NewAuthority()
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(s.Listen)
	name, _, err := net.SplitHostPort(s.Host)
	if err != nil {
		name = s.Host
	}
	config, err := authority.TLS(host, name)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(listener, config), os.WriteFile(s.CAFile, authority.PEM(), 0o644)
}

// source treats a variable that is set but empty as unset, as containers often set them.
type source struct{ envconfig.Lookuper }

func (s source) Lookup(key string) (string, bool) {
	value, ok := s.Lookuper.Lookup(key)
	return value, ok && value != ""
}

func load(ctx context.Context, env envconfig.Lookuper) (lpsim.Config, settings, error) {
	var s settings
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: &s, Lookuper: source{env}}); err != nil {
		return lpsim.Config{}, s, fmt.Errorf("environment: %w", err)
	}
	var faults lpsim.Faults
	if s.Faults != "" {
		var err error
		if faults, err = lpsim.ParseFaults([]byte(s.Faults)); err != nil {
			return lpsim.Config{}, s, fmt.Errorf("LPSIM_FAULTS: %w", err)
		}
	}
	if s.Seed != 0 {
		faults.Seed = s.Seed
	}
	config := lpsim.Config{
		Host: s.Host, Account: s.Account, ClientID: s.ClientID, ClientSecret: s.ClientSecret, Faults: faults, MaxTranscript: s.MaxTranscript,
		Webhooks: lpsim.Webhooks{URL: s.WebhookURL, MaxRetries: s.WebhookRetries, RetentionSeconds: s.WebhookRetention, SHA256: s.WebhookSHA256},
	}
	if s.EchoTyping > 0 {
		config.Script = lpsim.Echo(s.EchoTyping)
	}
	if s.Survey {
		config.Survey = lpsim.DefaultSurvey()
	}
	if s.MaxTranscript < 1 {
		return lpsim.Config{}, s, errors.New("LPSIM_MAX_TRANSCRIPT: want a number above 0")
	}
	if err := config.Validate(); err != nil {
		return lpsim.Config{}, s, fmt.Errorf("%s: %w", variable(err), err)
	}
	return config, s, nil
}

// variable names what an operator must change for an error of the configuration.
func variable(err error) string {
	names := map[string]string{
		"url": "LPSIM_WEBHOOK_URL", "maxRetries": "LPSIM_WEBHOOK_RETRIES", "retentionSeconds": "LPSIM_WEBHOOK_RETENTION",
		"Account": "LPSIM_ACCOUNT_ID", "ClientID": "LPSIM_CLIENT_ID", "rules[0].typeMs": "LPSIM_ECHO",
	}
	if field, ok := errors.AsType[*lpsim.FieldError](err); ok && names[field.Field] != "" {
		return names[field.Field]
	}
	return "environment"
}

func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func serve(ctx context.Context, sim *lpsim.Sim, listener net.Listener, logger *slog.Logger) error {
	server := &http.Server{
		Handler: sim, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	var err error
	select {
	case err = <-failed:
		sim.Close()
		return err
	case <-ctx.Done():
	}
	// Closing the simulator ends its event streams, which Shutdown would otherwise wait for.
	sim.Close()
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err = server.Shutdown(limit)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-failed
	return err
}

func greet(out io.Writer, c lpsim.Config, scheme, addr string) {
	webhooks := c.Webhooks.URL
	if webhooks == "" {
		webhooks = "none (set LPSIM_WEBHOOK_URL, or PUT /sim/webhooks)"
	}
	fmt.Fprintf(out, `lpsim plays LivePerson for tests and demonstrations. It is not LivePerson, keeps nothing, and asks
nobody who they are: never use it in production and never expose it.

Agent's page        %[5]s://%[1]s/
Point a connector at
  domain API        %[5]s://%[1]s/api/account/%[2]s/service/baseURI.json?version=1.0
  account           %[2]s
  client id         %[3]s
  client secret     as configured with LPSIM_CLIENT_SECRET (default sandbox-secret)
Webhooks go to      %[4]s

Try
  curl -s %[5]s://%[1]s/sim/conversations
  curl -s %[5]s://%[1]s/sim/stats
  curl -s %[5]s://%[1]s/sim/faults
  curl -s %[5]s://%[1]s/sim/requests?limit=5
  curl -s -X POST %[5]s://%[1]s/sim/conversations -d '{"text":"hello from somebody else'"'"'s consumer"}'
  curl -s -X POST %[5]s://%[1]s/sim/conversations/ID/agent/typing -d '{"chatState":"COMPOSING"}'
  curl -s -X POST %[5]s://%[1]s/sim/conversations/ID/agent/messages -d '{"text":"How can I help?"}'
  curl -sN %[5]s://%[1]s/sim/events
`, addr, c.Account, c.ClientID, webhooks, scheme)
}
