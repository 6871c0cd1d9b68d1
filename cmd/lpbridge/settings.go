package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/tracing"
	"lpbridge/config"
)

// channelIdle is how long an idle connection to a channel is kept; balancers
// close theirs after a minute or later.
const channelIdle = 30 * time.Second

// settings is everything the environment says.
type settings struct {
	config.Config
	lookup   lookuper
	report   config.Report
	log      *slog.Logger
	channels []chosenChannel
	// tracer is nil where no collector is named; endTracing sends what is left.
	tracer     *tracing.Tracer
	endTracing func(context.Context) error
	// contained lets nothing be called but this machine.
	contained bool
}

// chosenChannel is a channel of LPBRIDGE_CHANNELS, ready to be made.
type chosenChannel struct {
	adapterEntry
	build func(bridge.Core) (bridge.Adapter, error)
}

// loadSettings reads the environment and reports all that is wrong with it at
// once.
func loadSettings(env environment) (*settings, error) {
	l := config.NewLoader(env.lookup)
	s := &settings{lookup: env.lookup, contained: env.contained}
	l.Load("", &s.Config)
	l.Add(s.Bridge.CheckChannels(adapterNames()...))
	l.Add(s.LivePerson.CheckRoutes(adapterNames()...))
	s.log = newLogger(env, s.Bridge)
	var err error
	s.tracer, s.endTracing, err = s.startTracing(context.Background())
	l.Add(err)
	p := bridge.Parts{
		Transport: s.tracer.Transport(newChannelTransport(s.Bridge.MaxInFlight, env.contained)), UserAgent: userAgent(), Log: s.log, PublicURL: s.Bridge.PublicURL,
	}
	for _, a := range adapters {
		if !slices.Contains(s.Bridge.Channels, a.name) {
			a.ignore(l)
			continue
		}
		s.channels = append(s.channels, chosenChannel{a, a.load(l, p)})
	}
	s.report = l.Report()
	return s, l.Err()
}

func adapterNames() []string {
	names := make([]string, len(adapters))
	for i, a := range adapters {
		names[i] = a.name
	}
	return names
}

// newChannelTransport carries what adapters send to their channels.
func newChannelTransport(inFlight int, contained bool) http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if contained {
		transport.Proxy = nil
		transport.DialContext = dialHere
	}
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, inFlight
	transport.IdleConnTimeout = channelIdle
	return transport
}

// dialHere refuses connections to other machines. It looks no name up, for that asks
// another machine too.
func dialHere(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("the sandbox calls nothing outside this machine")}
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
}

// userAgent is what the bridge calls itself towards channels.
func userAgent() string { return "lpbridge/" + strings.Trim(version(), "()") }

func newLogger(env environment, b config.Bridge) *slog.Logger {
	options := &slog.HandlerOptions{Level: b.Level(), ReplaceAttr: durationsWithUnits}
	if b.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(env.stderr, options))
	}
	return slog.New(slog.NewJSONHandler(env.stderr, options))
}

// durationsWithUnits writes 1.5s where slog writes a number of nanoseconds.
func durationsWithUnits(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// warn tells of variables that have no effect, and of an admin listener that is
// not safe.
func (s *settings) warn(env environment) {
	for _, w := range s.report.Warnings(env.all) {
		s.log.Warn("a variable has no effect", "variable", w.Variable, "reason", w.Message)
	}
	for _, d := range s.adminDangers() {
		s.log.Warn("this is dangerous", "variable", d.variable, "reason", d.why)
	}
}
