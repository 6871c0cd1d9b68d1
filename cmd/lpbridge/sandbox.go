package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/connector/lpsim"
)

// sandboxListen is where the sandbox serves channels unless told otherwise. It
// is this machine only: the channels of the sandbox believe everybody.
const sandboxListen = "127.0.0.1:8080"

// sandboxDefaults make `lpbridge sandbox` work with nothing configured. They
// are weaker than what the environment says.
func sandboxDefaults(lookup lookuper, store, simulator, public string) map[string]string {
	defaults := map[string]string{
		"LPBRIDGE_LISTEN":     sandboxListen,
		"LPBRIDGE_PUBLIC_URL": localURL(public),
		"LPBRIDGE_STORE":      "sqlite:" + store,
		"LPBRIDGE_LOG_FORMAT": "text",
		"LPBRIDGE_LOG_LEVEL":  "warn",
		"LPBRIDGE_ECHO_WAIT":  "5s",
		"LP_NOTIFICATIONS":    "on",
		"LP_ACCOUNT_ID":       "sandbox",
		"LP_CLIENT_ID":        "sandbox-client",
		"LP_CLIENT_SECRET":    "sandbox-secret",
		"LP_DOMAIN_API_URL":   "http://" + simulator,
		"LP_FEATURES":         "AUTO_MESSAGES,RICH_CONTENT,QUICK_REPLIES,MULTI_DIALOG",
	}
	var channels []string
	for _, a := range adapters {
		if a.sandbox == nil {
			continue
		}
		channels = append(channels, a.name)
		if slices.ContainsFunc(a.instead, func(name string) bool { _, set := lookup.Lookup(name); return set }) {
			continue
		}
		maps.Copy(defaults, a.sandbox)
	}
	defaults["LPBRIDGE_CHANNELS"] = strings.Join(channels, ",")
	return defaults
}

// sandboxCommand runs simulator and bridge in one process.
func sandboxCommand(ctx context.Context, env environment) error {
	simulator, err := listen("LPSIM_LISTEN", lookupOr(env.lookup, "LPSIM_LISTEN", "127.0.0.1:8090"))
	if err != nil {
		return err
	}
	defer simulator.Close()
	// Bound before anything is read, because the channels must know their own
	// address, which may be a free port.
	public, err := listen("LPBRIDGE_LISTEN", lookupOr(env.lookup, "LPBRIDGE_LISTEN", sandboxListen))
	if err != nil {
		return err
	}
	defer public.Close()
	// The simulator forgets everything when it ends, so a journal that remembers
	// its conversations would be of no use to the next run.
	dir, err := os.MkdirTemp("", "lpbridge-sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defaults := sandboxDefaults(env.lookup, filepath.Join(dir, "lpbridge.db"), simulator.Addr().String(), public.Addr().String())
	env.lookup = envconfig.MultiLookuper(env.lookup, envconfig.MapLookuper(defaults))
	s, err := loadSettings(env)
	if err != nil {
		return err
	}
	s.warn(env)
	s.public = public
	a, err := newApp(ctx, s)
	if err != nil {
		return err
	}
	sim := lpsim.New(lpsim.Config{
		Account: s.LivePerson.AccountID, ClientID: s.LivePerson.ClientID, ClientSecret: s.LivePerson.ClientSecret.Reveal(),
		Webhooks: lpsim.Webhooks{URL: localURL(public.Addr().String()) + "/webhooks/liveperson", RetentionSeconds: 3600},
		Logger:   s.log,
	})
	return runBoth(ctx, env, a, sim, simulator)
}

func lookupOr(lookup lookuper, name, other string) string {
	if set, ok := lookup.Lookup(name); ok {
		return set
	}
	return other
}

// runBoth serves the simulator for as long as the bridge runs.
func runBoth(ctx context.Context, env environment, a *app, sim *lpsim.Sim, l net.Listener) error {
	server := &http.Server{Handler: sim, ReadHeaderTimeout: headerTime, ErrorLog: quiet(a.settings.log)}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.settings.log.Error("the simulator ended", "error", err)
		}
	})
	// Tokens are fetched before anybody is invited to paste three lines at once.
	if _, err := a.lp.tokens.Token(ctx); err != nil {
		a.settings.log.Warn("the simulator gave no token", "error", err)
	}
	fmt.Fprintf(env.stdout, sandboxGuide, "http://"+l.Addr().String(), "http://"+a.admin.Addr().String(), localURL(a.public.Addr().String()))
	err := a.run(ctx)
	err = errors.Join(err, server.Close())
	sim.Close()
	serving.Wait()
	return err
}

// sandboxGuide is what a newcomer sees. Its curl lines are those of the README.
const sandboxGuide = `lpbridge sandbox: a bridge and a simulated LivePerson, nothing is real, nothing is kept.

  what the agent sees   %[1]s/
  console, metrics      %[2]s/

Write as a consumer, type, and look at what the agent sees:

  curl -sS %[3]s/channels/webhook -H 'Content-Type: application/json' -d '{"id":"evt-1","type":"message","thread":"t-42","consumer":{"id":"u-7","firstName":"Ana"},"message":{"text":"hello"}}'
  curl -sS %[3]s/channels/webhook -H 'Content-Type: application/json' -d '{"type":"typing","thread":"t-42","consumer":{"id":"u-7"},"typing":{"state":"composing"}}'
  curl -sS %[1]s/sim/conversations/latest

Answer as the agent at %[1]s/ . Apps for Chatwoot's public API find an inbox
called "sandbox" at %[3]s .

Ctrl-C ends it.
`
