package bridge

import (
	"log/slog"
	"net/http"
	"net/url"
)

// Registration is all that a program knows of a channel before its adapter is
// made. C is the adapter's section of the configuration. Variables are named
// here as C's tags name them: without the channel's name, which the program
// puts before them in capitals.
type Registration[C any] struct {
	// Name is the channel's name, that of [Channel].
	Name string
	// Together says what of a valid section does not work with the rest of the
	// configuration; nil for a channel to which the rest does not matter. Its error
	// is about one variable and begins with its name, as those of C's Validate.
	Together func(C, Parts) error
	// New makes the adapter.
	New func(C, Parts) (Adapter, error)
	// History are the kinds of record that expire as history does.
	History []string
	// Example has variables with which the adapter can do all it is able to. The
	// grid of abilities is made from it.
	Example map[string]string
	// Sandbox has the variables with which the channel works in the sandbox
	// without anything outside of it; nil for a channel that cannot. {sink} stands
	// for an address that takes events of the generic webhook and shows them.
	Sandbox map[string]string
	// Instead are variables that take the place of those of Sandbox.
	Instead []string
	// Guide tells whoever runs the sandbox what to do with the channel; {public}
	// and {simulator} stand for addresses.
	Guide string
}

// Parts are what adapters are made with.
type Parts struct {
	Core Core
	// Transport carries calls to the channel, which name UserAgent as their author.
	Transport http.RoundTripper
	UserAgent string
	// PublicURL is where the public listener is reached from outside; may be nil.
	PublicURL *url.URL
	// Log names the channel already.
	Log *slog.Logger
}
