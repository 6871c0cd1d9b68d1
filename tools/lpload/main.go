// Command lpload measures lpbridge against floors that run beside it: what a
// plain proxy, a relay and a bare durable queue reach on the same machine at the
// same time. Absolute numbers say more of the machine than of the program, so
// it prints ratios, and the targets of docs/performance.md beside them.
//
// Everything runs on loopback in processes of its own, which lpload starts and
// ends: the load in this one, an upstream that stands for LivePerson and answers
// at once, the floors, and lpbridge. It reads /proc and so needs Linux. It
// assumes an otherwise quiet machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	threads     int
	connections int
	rate        int
	rounds      int
	stage       time.Duration
	slow        time.Duration
	known       int
	pending     int
	bridge      string
	before      string
	json        string
	profile     string
	// replicas on PostgreSQL are measured too, none if it is 0.
	replicas int
	// only names what is measured, all if it is empty.
	only []string
}

// What can be measured by itself.
const (
	saturatedPart     = "saturated"
	steadyPart        = "steady"
	notificationsPart = "notifications"
	troublePart       = "trouble"
	slowPart          = "slow"
	threadsPart       = "threads"
	restartPart       = "restart"
)

var parts = []string{saturatedPart, steadyPart, notificationsPart, troublePart, slowPart, threadsPart, restartPart}

// wants says whether a part is measured, and wantsAny whether one of several is.
func (o *options) wants(part string) bool { return len(o.only) == 0 || slices.Contains(o.only, part) }

func (o *options) wantsAny(list ...string) bool { return slices.ContainsFunc(list, o.wants) }

// partArgument marks lpload's own processes.
const partArgument = "part"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == partArgument {
		os.Exit(runPart(ctx, os.Args[2:]))
	}
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func execute(ctx context.Context, args []string, out, log io.Writer) int {
	o, err := parse(args, log)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(log, "lpload:", err)
		return 2
	}
	if err := measure(ctx, o, out); err != nil {
		fmt.Fprintln(log, "lpload:", err)
		return 1
	}
	return 0
}

func parse(args []string, log io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lpload", flag.ContinueOnError)
	f.SetOutput(log)
	quick := f.Bool("quick", false, "one short round with small numbers, for a first look")
	f.IntVar(&o.threads, "threads", 1000, "threads the load is spread over")
	f.IntVar(&o.connections, "connections", 64, "connections of the load")
	f.IntVar(&o.rate, "rate", 1500, "events a second where latency is measured, 30 % of them typing")
	f.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	f.DurationVar(&o.stage, "stage", 3*time.Second, "how long each measurement takes")
	f.DurationVar(&o.slow, "upstream-latency", 60*time.Millisecond, "latency of the upstream in the run with a slow one")
	f.IntVar(&o.known, "known", 20_000, "threads of the run with many threads")
	f.IntVar(&o.pending, "pending", 100_000, "events pending at the restart")
	f.StringVar(&o.bridge, "bridge", "", "lpbridge binary (default: built from the source, as for a release)")
	f.StringVar(&o.before, "before", "", "another lpbridge binary, measured in the same rounds and compared")
	f.IntVar(&o.replicas, "replicas", 0, "processes that share a journal on a PostgreSQL of their own, measured in the same rounds and compared with the one on SQLite")
	f.StringVar(&o.json, "json", "", "file to write the numbers to as JSON")
	f.StringVar(&o.profile, "profile", "", "file for a CPU profile of lpbridge while saturated; what it allocates goes to the same name with .allocs, what many threads keep with .heap; without the saturated run it is of the one over many threads")
	only := f.String("only", "", "what to measure, of "+strings.Join(parts, ","))
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, part := range o.only {
		if !slices.Contains(parts, part) {
			return o, fmt.Errorf("-only: %q is none of %s", part, strings.Join(parts, ","))
		}
	}
	if *quick {
		o.rounds, o.stage, o.known, o.pending = 1, time.Second, 2000, 10_000
	}
	for name, v := range map[string][3]int{
		"threads": {o.threads, 1, 100_000}, "connections": {o.connections, 1, 1024}, "rate": {o.rate, 10, 100_000},
		"rounds": {o.rounds, 1, 20}, "known": {o.known, 100, maxThreads}, "pending": {o.pending, 100, 1_000_000},
	} {
		if v[0] < v[1] || v[0] > v[2] {
			return o, fmt.Errorf("-%s: want %d to %d", name, v[1], v[2])
		}
	}
	if o.replicas < 0 || o.replicas > mostReplicas {
		return o, fmt.Errorf("-replicas: want 0 to %d", mostReplicas)
	}
	if f.NArg() > 0 || o.stage < 200*time.Millisecond || o.stage > time.Minute || o.slow < 0 || o.slow > time.Second {
		return o, errors.New("it takes flags only; -stage from 200ms to 1m, -upstream-latency up to 1s")
	}
	return o, nil
}
