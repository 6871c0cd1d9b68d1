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

// sandboxForced is what the sandbox does not leave to the environment: a shell
// that is set up for a real account must not make it call LivePerson or open
// the journal of a real bridge.
func sandboxForced(store, simulator string) map[string]string {
	return map[string]string{
		"LPBRIDGE_STORE":    "sqlite:" + store,
		"LP_DOMAIN_API_URL": localURL(simulator),
		"LP_NOTIFICATIONS":  "on",
	}
}

// sandboxDefaults make `lpbridge sandbox` work with nothing configured. They
// are weaker than what the environment says.
func sandboxDefaults(lookup lookuper, public string) map[string]string {
	defaults := map[string]string{
		"LPBRIDGE_LISTEN":     sandboxListen,
		"LPBRIDGE_PUBLIC_URL": localURL(public),
		"LPBRIDGE_LOG_FORMAT": "text",
		"LPBRIDGE_LOG_LEVEL":  "warn",
		"LPBRIDGE_ECHO_WAIT":  "5s",
		"LP_ACCOUNT_ID":       "sandbox",
		"LP_CLIENT_ID":        "sandbox-client",
	}
	isSet := func(name string) bool { _, set := lookup.Lookup(name); return set }
	if !isSet("LP_CLIENT_SECRET_FILE") {
		defaults["LP_CLIENT_SECRET"] = "sandbox-secret"
	}
	var able []string
	for _, a := range adapters {
		if a.sandbox != nil {
			able = append(able, a.name)
		}
	}
	channels := lookupOr(lookup, "LPBRIDGE_CHANNELS", strings.Join(able, ","))
	defaults["LPBRIDGE_CHANNELS"] = channels
	for _, a := range adapters {
		// Variables of channels that are not served would only be warned about.
		if slices.Contains(strings.Split(strings.ReplaceAll(channels, " ", ""), ","), a.name) && !slices.ContainsFunc(a.instead, isSet) {
			maps.Copy(defaults, a.sandbox)
		}
	}
	return defaults
}

// sandboxLookup is the environment of a sandbox.
func sandboxLookup(env environment, store, simulator, public string) lookuper {
	forced := sandboxForced(store, simulator)
	for name := range forced {
		if _, set := env.lookup.Lookup(name); set {
			fmt.Fprintf(env.stderr, "lpbridge sandbox: %s is not used: the sandbox touches nothing real\n", name)
		}
	}
	return envconfig.MultiLookuper(envconfig.MapLookuper(forced), env.lookup, envconfig.MapLookuper(sandboxDefaults(env.lookup, public)))
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
	env.lookup = sandboxLookup(env, filepath.Join(dir, "lpbridge.db"), simulator.Addr().String(), public.Addr().String())
	env.contained = true
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
	fmt.Fprint(env.stdout, sandboxGuide(a.settings.channels, localURL(l.Addr().String()), localURL(a.admin.Addr().String()), localURL(a.public.Addr().String())))
	err := a.run(ctx)
	err = errors.Join(err, server.Close())
	sim.Close()
	serving.Wait()
	return err
}

// sandboxGuide is what a newcomer sees: where everything is, and what each of
// the channels served has to say.
func sandboxGuide(channels []chosenChannel, simulator, admin, public string) string {
	var b strings.Builder
	b.WriteString("lpbridge sandbox: a bridge and a simulated LivePerson, nothing is real, nothing is kept.\n\n")
	fmt.Fprintf(&b, "  what the agent sees   %s/\n  console, metrics      %s/\n\n", simulator, admin)
	addresses := strings.NewReplacer("{public}", public, "{simulator}", simulator)
	for _, ch := range channels {
		guide := ch.guide
		if guide == "" {
			guide = "Channel " + ch.name + " is served at {public} ."
		}
		b.WriteString(addresses.Replace(guide) + "\n\n")
	}
	fmt.Fprintf(&b, "Answer as the agent at %s/ .\n\nCtrl-C ends it.\n", simulator)
	return b.String()
}
