// Command lpbridge relays between chat channels and LivePerson Conversational
// Cloud. It is configured by environment variables only; docs/configuration.md
// lists them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"lpbridge/config"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitConfig = 2
)

const usage = `lpbridge relays between chat channels and LivePerson Conversational Cloud.

Usage: lpbridge COMMAND

  run          relay until SIGTERM
  sandbox      the same together with a LivePerson simulator, nothing to configure
  check        say what of the configuration works, without relaying anything
  deadletters  list, replay or discard what could not be delivered
  healthcheck  ask a running lpbridge whether it is ready, for containers
  variables    list every environment variable as Markdown
  channels     list what every channel can do as Markdown
  version      print the version

All settings are environment variables; see docs/configuration.md.
`

// environment is what a command sees of the world.
type environment struct {
	args   []string
	lookup lookuper
	all    []string
	stdout io.Writer
	stderr io.Writer
}

var commands = map[string]func(context.Context, environment) error{
	"run":         runCommand,
	"sandbox":     sandboxCommand,
	"check":       checkCommand,
	"healthcheck": healthCheckCommand,
	"variables":   variablesCommand,
	"channels":    channelsCommand,
	"version":     versionCommand,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal kills: only the first is caught.
	context.AfterFunc(ctx, stop)
	env := environment{os.Args[1:], osLookuper{}, os.Environ(), os.Stdout, os.Stderr}
	os.Exit(execute(ctx, env))
}

// execute runs one command and returns the exit code.
func execute(ctx context.Context, env environment) int {
	if len(env.args) == 0 {
		fmt.Fprint(env.stderr, usage)
		return exitConfig
	}
	name := env.args[0]
	env.args = env.args[1:]
	if name == "help" || name == "-h" || name == "--help" {
		fmt.Fprint(env.stdout, usage)
		return exitOK
	}
	command, ok := commands[name]
	if !ok {
		fmt.Fprintf(env.stderr, "lpbridge: there is no command %q\n\n%s", name, usage)
		return exitConfig
	}
	err := command(ctx, env)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(env.stderr, "lpbridge %s: %v\n", name, err)
	if _, bad := errors.AsType[*config.Error](err); bad || errors.Is(err, errUsage) {
		return exitConfig
	}
	return exitFailed
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("wrong arguments")
