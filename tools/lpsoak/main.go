// Command lpsoak tries to make lpbridge break its promise and reports whether
// it did: every message once, in order, and no typing left behind.
//
// It runs lpbridge as a process of its own between a simulated LivePerson and a
// channel, sends messages and typing both ways while both misbehave, and kills
// lpbridge again and again without warning: at any moment, and at those that are
// worst, such as when LivePerson has applied a SEND and lpbridge does not know.
// After the last restart it waits until everything is delivered and compares
// what each side has with what was said. It assumes a Go toolchain and the
// source of lpbridge unless a binary is given, and reaches nothing but loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lpbridge/connector/lpsim"
)

// Exit codes.
const (
	exitKept   = 0
	exitBroken = 1
	exitUsage  = 2
)

// options are the flags.
type options struct {
	threads  int
	messages int
	kills    int
	closes   int
	seed     uint64
	faults   lpsim.Faults
	outages  outages
	// during is how long the traffic takes, drain how long its end is waited for.
	during, drain time.Duration
	// absence is the longest time between a kill and the next start.
	absence       time.Duration
	echoWait      time.Duration
	notifications bool
	bridge        string
	keep          string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func execute(ctx context.Context, args []string, out, log io.Writer) int {
	o, err := parse(args, log)
	if errors.Is(err, flag.ErrHelp) {
		return exitKept
	}
	if err != nil {
		fmt.Fprintln(log, "lpsoak:", err)
		return exitUsage
	}
	found, err := soak(ctx, o, out)
	if err != nil {
		fmt.Fprintln(log, "lpsoak:", err)
		return exitBroken
	}
	found.print(out)
	if len(found.violations) > 0 {
		return exitBroken
	}
	return exitKept
}

func parse(args []string, log io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lpsoak", flag.ContinueOnError)
	f.SetOutput(log)
	f.IntVar(&o.threads, "threads", 60, "consumers, each in a thread of their own")
	f.IntVar(&o.messages, "messages", 3000, "messages of consumers in all; agents write as many")
	f.IntVar(&o.kills, "kills", 10, "how often lpbridge is killed (-harsh: 30)")
	f.IntVar(&o.closes, "closes", 6, "conversations an agent closes on the way")
	f.Uint64Var(&o.seed, "seed", 1, "seed of what happens; not of when, which the machine decides")
	faults := f.String("faults", stormy, "how LivePerson misbehaves, as JSON of the simulator's faults; stands above -harsh")
	hard := f.Bool("harsh", false, "misbehave as on the worst day: "+harshWords)
	f.IntVar(&o.outages.number, "outages", 0, "how often LivePerson answers nothing, or only 503, for a while (-harsh: 3)")
	f.DurationVar(&o.outages.least, "outage-min", time.Minute, "shortest of these outages")
	f.DurationVar(&o.outages.most, "outage-max", 10*time.Minute, "longest of these outages")
	f.Float64Var(&o.outages.scale, "scale", 1, "what the lengths of outages are divided by, so that minutes pass in seconds; nothing else is scaled")
	f.DurationVar(&o.during, "during", 40*time.Second, "how long the traffic takes; longer where the outages need it")
	f.DurationVar(&o.drain, "drain", 3*time.Minute, "how long the end of the traffic may take to be delivered")
	f.DurationVar(&o.absence, "absence", 600*time.Millisecond, "longest time between a kill and the next start")
	f.DurationVar(&o.echoWait, "echo-wait", 35*time.Second, "LPBRIDGE_ECHO_WAIT")
	without := f.Bool("no-notifications", false, "let LivePerson send no notifications; repeated messages are then counted, not held against lpbridge")
	f.StringVar(&o.bridge, "bridge", "", "lpbridge binary (default: built from the source)")
	f.StringVar(&o.keep, "keep", "", "directory to keep logs and journal in (default: a temporary one)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *hard {
		o.harden(f, faults)
	}
	o.notifications = !*without
	var err error
	if o.faults, err = lpsim.ParseFaults([]byte(*faults)); err != nil {
		return o, fmt.Errorf("-faults: %w", err)
	}
	o.faults.Seed = o.seed
	if err := o.validate(f.NArg()); err != nil {
		return o, err
	}
	o.plan()
	return o, nil
}

func (o options) validate(rest int) error {
	switch {
	case rest > 0:
		return errors.New("it takes flags only")
	case o.threads < 1 || o.threads > 1000:
		return errors.New("-threads: want 1 to 1000")
	case o.messages < o.threads || o.messages > 1_000_000:
		return errors.New("-messages: want at least one a thread and at most a million")
	case o.kills < 0 || o.kills > 1000:
		return errors.New("-kills: want 0 to 1000")
	case o.closes < 0 || o.closes > o.threads:
		return errors.New("-closes: want 0 to as many as threads")
	case o.during < time.Second || o.drain < time.Second:
		return errors.New("-during and -drain: want at least 1s")
	case o.absence < 0 || o.absence > time.Hour:
		return errors.New("-absence: want 0 to 1h")
	}
	return o.outages.validate()
}
