// Command lpsoak tries to make lpbridge break its promise and reports whether
// it did: every message once, in order, and no typing left behind.
//
// It runs the simulated LivePerson, a channel and lpbridge as processes of
// their own, sends messages and typing both ways while LivePerson and the
// channel misbehave, and kills lpbridge again and again without warning. After
// the last restart it waits until everything is delivered and compares what
// each side has with what was said. It assumes a Go toolchain and the source of
// lpbridge unless both binaries are given, and reaches nothing but loopback.
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
	// during is how long the traffic takes, drain how long its end is waited for.
	during, drain time.Duration
	echoWait      time.Duration
	notifications bool
	bridge        string
	simulator     string
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

// stormy is how LivePerson misbehaves unless told otherwise. Rates are low
// enough that few calls fail three times, after which lpbridge pauses for
// minutes, as LivePerson asks.
const stormy = `{"errorRate":0.02,"errorStatus":503,"throttleRate":0.001,"retryAfterSeconds":1,
"latencyMinMs":1,"latencyMaxMs":40,"latencyBeforeShare":0.5,
"lostAnswerRate":{"send":0.03,"conversation":0.03},"lostRequestRate":{"send":0.01,"conversation":0.01},
"unauthorizedRate":{"send":0.003,"conversation":0.003},
"webhookDuplicateRate":0.05,"webhookReorderRate":0.05,"webhookEarlyRate":0.1,"webhookDelayRate":0.05,
"webhookDelayMinMs":5,"webhookDelayMaxMs":400,"webhookBareChangeRate":0.2,"webhookForeignRate":0.02,
"omitConversationIdRate":0.2,"omitAudienceRate":0.2,"nullMetadataRate":0.2,"omitStageRate":0.2,"omitDialogsRate":0.2}`

func parse(args []string, log io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lpsoak", flag.ContinueOnError)
	f.SetOutput(log)
	f.IntVar(&o.threads, "threads", 60, "consumers, each in a thread of their own")
	f.IntVar(&o.messages, "messages", 3000, "messages of consumers in all; agents write as many")
	f.IntVar(&o.kills, "kills", 10, "how often lpbridge is killed")
	f.IntVar(&o.closes, "closes", 6, "conversations an agent closes on the way")
	f.Uint64Var(&o.seed, "seed", 1, "seed of what happens; not of when, which the machine decides")
	faults := f.String("faults", stormy, "how LivePerson misbehaves, as JSON of the simulator's faults")
	f.DurationVar(&o.during, "during", 40*time.Second, "how long the traffic takes")
	f.DurationVar(&o.drain, "drain", 3*time.Minute, "how long the end of the traffic may take to be delivered")
	f.DurationVar(&o.echoWait, "echo-wait", 35*time.Second, "LPBRIDGE_ECHO_WAIT")
	without := f.Bool("no-notifications", false, "let LivePerson send no notifications; repeated messages are then counted, not held against lpbridge")
	f.StringVar(&o.bridge, "bridge", "", "lpbridge binary (default: built from the source)")
	f.StringVar(&o.simulator, "simulator", "", "lpsim binary (default: built from the source)")
	f.StringVar(&o.keep, "keep", "", "directory to keep logs and journal in (default: a temporary one)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.notifications = !*without
	var err error
	if o.faults, err = lpsim.ParseFaults([]byte(*faults)); err != nil {
		return o, fmt.Errorf("-faults: %w", err)
	}
	o.faults.Seed = o.seed
	return o, o.validate(f.NArg())
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
	}
	return nil
}
