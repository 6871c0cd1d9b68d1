package main

import (
	"os"

	"github.com/sethvargo/go-envconfig"
)

type lookuper = envconfig.Lookuper

// osLookuper reads the environment. A variable that is exported empty counts as
// absent, so that it cannot hide a default of the sandbox.
type osLookuper struct{}

// Lookup implements [envconfig.Lookuper].
func (osLookuper) Lookup(key string) (string, bool) {
	value := os.Getenv(key)
	return value, value != ""
}
