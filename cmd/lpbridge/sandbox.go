package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/cmd/lpbridge/front"
	"lpbridge/connector/lpsim"
)

// sandboxListen is where the sandbox's page and channels are unless told otherwise.
// It is this machine only: the channels of the sandbox believe everybody.
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

// sandboxWithout says what the sandbox does without: traces and proxies lead to the
// world outside, and certificates are for listeners that are reached from there.
func sandboxWithout(variable string) bool {
	return strings.HasPrefix(variable, "OTEL_") || strings.HasSuffix(strings.ToUpper(variable), "_PROXY") || slices.Contains([]string{
		"LPBRIDGE_TLS_CERT", "LPBRIDGE_TLS_KEY", "LPBRIDGE_ADMIN_TLS_CERT", "LPBRIDGE_ADMIN_TLS_KEY",
	}, variable)
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
	sink := strings.NewReplacer("{sink}", localURL(public)+"/sandbox/webhook")
	for _, a := range adapters {
		// Variables of channels that are not served would only be warned about.
		if !slices.Contains(strings.Split(strings.ReplaceAll(channels, " ", ""), ","), a.name) || slices.ContainsFunc(a.instead, isSet) {
			continue
		}
		for name, value := range a.sandbox {
			defaults[name] = sink.Replace(value)
		}
	}
	return defaults
}

// sandboxed changes an environment into that of a sandbox, complete, and says what of
// it the sandbox does not use.
func sandboxed(env environment, store, simulator, public string) environment {
	forced := sandboxForced(store, simulator)
	variables := sandboxDefaults(env.lookup, public)
	for _, line := range env.all {
		name, value, _ := strings.Cut(line, "=")
		_, taken := forced[name]
		switch {
		case value == "":
		case taken || sandboxWithout(name):
			fmt.Fprintf(env.stderr, "lpbridge sandbox: %s is not used: the sandbox touches nothing real\n", name)
		default:
			variables[name] = value
		}
	}
	maps.Copy(variables, forced)
	env.all = nil
	for name, value := range variables {
		env.all = append(env.all, name+"="+value)
	}
	env.lookup, env.contained = envconfig.MapLookuper(variables), true
	return env
}

// sandboxCommand runs a simulator and the page in this process, and the bridge in one
// of its own, so that it can be killed and watched coming back.
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
	dir, err := sandboxDir(env.lookup)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	boxed := sandboxed(env, filepath.Join(dir, "lpbridge.db"), simulator.Addr().String(), public.Addr().String())
	s, err := sandboxSettings(boxed)
	if err != nil {
		return err
	}
	watch := front.NewWatch()
	sim := lpsim.New(lpsim.Config{
		Account: s.LivePerson.AccountID, ClientID: s.LivePerson.ClientID, ClientSecret: s.LivePerson.ClientSecret.Reveal(),
		Webhooks:      lpsim.Webhooks{URL: localURL(public.Addr().String()) + "/webhooks/liveperson", RetentionSeconds: 3600},
		WebhookClient: watch.WebhookClient(), Logger: s.log,
	})
	defer sim.Close()
	bridge := newChildBridge(boxed, s)
	page := front.New(front.Options{
		Watch: watch, Sim: sim, Simulator: localURL(simulator.Addr().String()), Public: s.Bridge.PublicURL.String(),
		Channels: playable(env.lookup, s.channels), Kill: bridge.kill, Pending: bridge.pending, Logger: s.log,
	})
	bridge.up, bridge.down = page.BridgeUp, page.BridgeDown
	stop := serveSandbox(ctx, s, map[net.Listener]http.Handler{public: page, simulator: sim}, page.Run)
	// The bridge ends before what it talks to, so that it can tell LivePerson what it owes.
	if err = bridge.start(ctx); err == nil {
		fmt.Fprint(env.stdout, sandboxGuide(s.channels, localURL(simulator.Addr().String()), localURL(bridge.adminAddress()), localURL(public.Addr().String())))
		err = bridge.run(ctx)
	}
	return errors.Join(err, stop())
}

// sandboxSettings are what the bridge of a sandbox will find. What is to be said of
// them it says itself.
func sandboxSettings(boxed environment) (*settings, error) {
	quietly := boxed
	quietly.stderr = io.Discard
	s, err := loadSettings(quietly)
	if err != nil {
		return nil, err
	}
	s.log = newLogger(boxed, s.Bridge)
	s.warn(boxed)
	return s, nil
}

// sandboxDir makes the directory of a sandbox's journal. An image without /tmp has
// memory, or the volume of the journal that is not used.
func sandboxDir(lookup lookuper) (string, error) {
	store := strings.TrimPrefix(lookupOr(lookup, "LPBRIDGE_STORE", ""), "sqlite:")
	var errs []error
	for _, parent := range []string{os.TempDir(), "/dev/shm", filepath.Dir(store), "."} {
		dir, err := os.MkdirTemp(parent, "lpbridge-sandbox-")
		if err == nil {
			return filepath.Abs(dir)
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("TMPDIR: no directory can be written to: %w", errors.Join(errs...))
}

// playable are the channels the page can be a consumer on: those that are as the
// sandbox sets them up.
func playable(lookup lookuper, channels []chosenChannel) []string {
	names := []string{}
	for _, ch := range channels {
		isSet := func(name string) bool { _, set := lookup.Lookup(name); return set }
		if ch.sandbox != nil && !slices.ContainsFunc(append(slices.Collect(maps.Keys(ch.sandbox)), ch.instead...), isSet) {
			names = append(names, ch.name)
		}
	}
	return names
}

func lookupOr(lookup lookuper, name, other string) string {
	if set, ok := lookup.Lookup(name); ok {
		return set
	}
	return other
}

// serveSandbox serves page and simulator, and lets the page watch, until it is stopped.
func serveSandbox(ctx context.Context, s *settings, handlers map[net.Listener]http.Handler, watch func(context.Context)) (stop func() error) {
	ctx, endWatching := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	var servers []*http.Server
	for l, h := range handlers {
		server := &http.Server{Handler: h, ReadHeaderTimeout: headerTime, ErrorLog: quiet(s.log)}
		servers = append(servers, server)
		running.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("a listener ended", "listen", l.Addr().String(), "error", err)
			}
		})
	}
	running.Go(func() { watch(ctx) })
	return func() (err error) {
		endWatching()
		for _, server := range servers {
			err = errors.Join(err, server.Close())
		}
		running.Wait()
		return err
	}
}

// sandboxGuide is what a newcomer sees: where everything is, and what each of
// the channels served has to say.
func sandboxGuide(channels []chosenChannel, simulator, admin, public string) string {
	var b strings.Builder
	b.WriteString("lpbridge sandbox: a bridge and a simulated LivePerson, nothing is real, nothing is kept.\n\n")
	fmt.Fprintf(&b, "  open                  %s/\n\n", public)
	fmt.Fprintf(&b, "  what the agent sees   %s/\n  console, metrics      %s/\n\n", simulator, admin)
	addresses := strings.NewReplacer("{public}", public, "{simulator}", simulator)
	for _, ch := range channels {
		guide := ch.guide
		if guide == "" {
			guide = "Channel " + ch.name + " is served at {public} ."
		}
		b.WriteString(addresses.Replace(guide) + "\n\n")
	}
	b.WriteString("Ctrl-C ends it.\n")
	return b.String()
}
