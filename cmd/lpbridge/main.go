// Command lpbridge relays between chat channels and LivePerson Conversational
// Cloud. It is configured by environment variables only; docs/configuration.md
// lists them.
//
// It assumes that one process serves an account, on a file system that keeps what it
// was told to flush.
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

// environment is what a command sees of the world.
type environment struct {
	lookup lookuper
	all    []string
	stdout io.Writer
	stderr io.Writer
	// contained lets channels call this machine only.
	contained bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// A second signal kills: only the first is caught.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:], environment{lookup: osLookuper{}, all: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}))
}

// execute runs one command and returns the exit code.
func execute(ctx context.Context, args []string, env environment) int {
	command, err := commandLine(args, env).ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(env.stderr, "%s: %v\n", command.CommandPath(), err)
	if _, bad := errors.AsType[*config.Error](err); bad || errors.Is(err, errUsage) {
		return exitConfig
	}
	return exitFailed
}
