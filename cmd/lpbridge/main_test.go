package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"lpbridge/bridge/bridgetest/toy"
)

var update = flag.Bool("update", false, "rewrite what is generated: regions of the documents, expected outputs of scripts")

// TestMain lets this binary be lpbridge when it is called so, which is how all
// tests of this package run it: as a process, under the race detector when the
// tests are. With a variable of the toy channel in its environment it has that
// channel too.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lpbridge": func() {
		if _, wanted := os.LookupEnv("TOY_URL"); wanted {
			adapters = append(adapters, entry(toy.Registration()))
		}
		main()
	}})
}

// TestCommands runs what needs no other process. Scripts see none of the
// variables of the environment the tests run in.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ADAPTERS", strings.Join(adapterNames(), ", "))
			e.Vars = append(e.Vars, environ(nil)...)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and demands its exit code: exits 2 lpbridge run.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// environ is the environment of a process: what is given, and what only the Go
// tools look at.
func environ(settings map[string]string) []string {
	// Without this every process under the race detector takes a second to end.
	env := []string{"GORACE=atexit_sleep_ms=20 " + os.Getenv("GORACE")}
	for _, name := range []string{"GOCOVERDIR", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range settings {
		env = append(env, name+"="+value)
	}
	return env
}
