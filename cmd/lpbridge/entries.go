package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"lpbridge/bridge"
	"lpbridge/config"
)

// parts are what adapters are made with.
type parts struct {
	client    *http.Client
	publicURL *url.URL
	log       *slog.Logger
}

// adapterEntry is what the program knows of an adapter before it is made.
type adapterEntry struct {
	name string
	// load reads the adapter's section of the configuration and returns what
	// makes the adapter of it.
	load func(*config.Loader, parts) func(bridge.Core) (bridge.Adapter, error)
	// ignore marks the section as known and unused.
	ignore func(*config.Loader)
	// variables describes the section.
	variables func() []config.Variable
	// history are the kinds of record that expire.
	history []string
	// sample has variables that make the channel with all it can do, for the
	// grid of abilities.
	sample map[string]string
	// sandbox has the variables that make the channel work in the sandbox; nil
	// leaves it out.
	sandbox map[string]string
	// instead are variables that take the place of sandbox.
	instead []string
}

// about is what an adapter's line says beside its constructor.
type about struct {
	history         []string
	sample, sandbox map[string]string
	instead         []string
}

// prefix is what the adapter's variables begin with.
func prefix(name string) string { return strings.ToUpper(name) + "_" }

// entry describes an adapter by its name and constructor.
func entry[C any, A bridge.Adapter](name string, build func(C, bridge.Core, parts) (A, error), with about) adapterEntry {
	return adapterEntry{
		name: name, history: with.history, sample: with.sample, sandbox: with.sandbox, instead: with.instead,
		load: func(l *config.Loader, p parts) func(bridge.Core) (bridge.Adapter, error) {
			section := new(C)
			l.Load(prefix(name), section)
			p.log = p.log.With("channel", name)
			return func(core bridge.Core) (bridge.Adapter, error) { return build(*section, core, p) }
		},
		ignore: func(l *config.Loader) {
			l.Ignore(prefix(name), new(C), name+" is not in LPBRIDGE_CHANNELS")
		},
		variables: func() []config.Variable { return config.Reference(new(C), prefix(name)) },
	}
}
