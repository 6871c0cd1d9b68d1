package main

import (
	"fmt"
	"strings"

	"lpbridge/bridge"
	"lpbridge/config"
)

// adapterEntry is a channel's registration, whatever the type of its
// configuration. Variables have their full names.
type adapterEntry struct {
	name string
	// load reads the adapter's section of the configuration and returns what
	// makes the adapter of it.
	load func(*config.Loader, bridge.Parts) func(bridge.Core) (bridge.Adapter, error)
	// ignore marks the section as known and unused.
	ignore func(*config.Loader)
	// variables describes the section.
	variables func() []config.Variable

	history          []string
	example, sandbox map[string]string
	instead          []string
	guide            string
}

// entry takes a registration in.
func entry[C any](r bridge.Registration[C]) adapterEntry {
	prefix := strings.ToUpper(r.Name) + "_"
	return adapterEntry{
		name: r.Name,
		load: func(l *config.Loader, p bridge.Parts) func(bridge.Core) (bridge.Adapter, error) {
			section := new(C)
			l.Load(prefix, section)
			if r.Together != nil {
				if err := r.Together(*section, p); err != nil {
					l.Add(fmt.Errorf("%s%w", prefix, err))
				}
			}
			p.Log = p.Log.With("channel", r.Name)
			return func(core bridge.Core) (bridge.Adapter, error) {
				p.Core = core
				return r.New(*section, p)
			}
		},
		ignore: func(l *config.Loader) {
			l.Ignore(prefix, new(C), r.Name+" is not in LPBRIDGE_CHANNELS")
		},
		variables: func() []config.Variable { return config.Reference(new(C), prefix) },
		history:   r.History,
		example:   prefixed(prefix, r.Example),
		sandbox:   prefixed(prefix, r.Sandbox),
		instead:   fullNames(prefix, r.Instead),
		guide:     r.Guide,
	}
}

func prefixed(prefix string, variables map[string]string) map[string]string {
	if variables == nil {
		return nil
	}
	full := make(map[string]string, len(variables))
	for name, value := range variables {
		full[prefix+name] = value
	}
	return full
}

func fullNames(prefix string, names []string) []string {
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = prefix + name
	}
	return full
}
