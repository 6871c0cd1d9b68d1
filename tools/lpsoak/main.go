// Command lpsoak tries to make lpbridge break its promise and reports whether
// it did: every message once, in order, and no typing left behind.
//
// It runs lpbridge as a process of its own between a simulated LivePerson and a
// channel, sends messages and typing both ways while both misbehave, and kills
// lpbridge again and again without warning: at any moment, and at those that are
// worst, such as when LivePerson has applied a SEND and lpbridge does not know.
// After the last restart it waits until everything is delivered and compares
// what each side has with what was said. With a journal on PostgreSQL it runs
// several replicas behind a balancer, freezes them and cuts them off too, and ends
// the server. It assumes a Go toolchain and the source of lpbridge unless a binary
// is given, and PostgreSQL's binaries for that; it reaches nothing but loopback.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
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

// mostReplicas is the most that run at once, mostRuns one after the other.
const (
	mostReplicas = 5
	mostRuns     = 1000
)

// options are the flags.
type options struct {
	// store is the kind of journal; replicas on PostgreSQL may be several.
	store    string
	replicas int
	blows    []blowKind
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
	runs          int
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
	code, rows := exitKept, []string{tableHead}
	for i := range o.runs {
		each, err := o.run(args, i)
		if err != nil {
			fmt.Fprintln(log, "lpsoak:", err)
			return exitUsage
		}
		found, err := soak(ctx, each, out)
		if err != nil {
			fmt.Fprintln(log, "lpsoak:", err)
			return exitBroken
		}
		found.print(out)
		rows = append(rows, found.row)
		if len(found.violations) > 0 {
			code = exitBroken
		}
	}
	if o.store == onPostgres {
		fmt.Fprintln(out, strings.Join(rows, "\n"))
	}
	return code
}

// run is the i-th of several runs: the flags with a seed, and a directory, of its own.
func (o options) run(args []string, i int) (options, error) {
	if o.runs == 1 {
		return o, nil
	}
	seed := o.seed + uint64(i)
	args = append(slices.Clone(args), fmt.Sprintf("-seed=%d", seed))
	if o.keep != "" {
		args = append(args, "-keep="+filepath.Join(o.keep, fmt.Sprintf("seed-%d", seed)))
	}
	return parse(args, io.Discard)
}

func parse(args []string, log io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lpsoak", flag.ContinueOnError)
	f.SetOutput(log)
	f.StringVar(&o.store, "store", onSQLite, "the journal's store: sqlite; or postgres, which starts a PostgreSQL server of its own")
	f.IntVar(&o.replicas, "replicas", 1, "with -store postgres: how many processes run behind a balancer")
	blows := f.String("blows", "", "with -store postgres: what goes wrong, separated by commas (default: everything)")
	f.IntVar(&o.threads, "threads", 60, "consumers, each in a thread of their own")
	f.IntVar(&o.messages, "messages", 3000, "messages of consumers in all; agents write as many")
	f.IntVar(&o.kills, "kills", 10, "how often lpbridge is killed, or with -store postgres something else goes wrong (-harsh: 30)")
	f.IntVar(&o.closes, "closes", 6, "conversations an agent closes on the way")
	f.Uint64Var(&o.seed, "seed", 1, "seed of what happens; not of when, which the machine decides")
	faults := f.String("faults", stormy, "how LivePerson misbehaves, as JSON of the simulator's faults; stands above -harsh")
	hard := f.Bool("harsh", false, "misbehave as on the worst day: "+harshWords)
	f.IntVar(&o.outages.number, "outages", 0, "how often LivePerson answers nothing, or only 503, for a while (-harsh: 3)")
	f.DurationVar(&o.outages.least, "outage-min", time.Minute, "shortest of these outages")
	f.DurationVar(&o.outages.most, "outage-max", 10*time.Minute, "longest of these outages")
	f.Float64Var(&o.outages.scale, "scale", 1, "what the lengths of outages are divided by, so that minutes pass in seconds; nothing else is scaled")
	f.DurationVar(&o.during, "during", 40*time.Second, "how long the traffic takes; longer where the outages need it, or the kills on PostgreSQL")
	f.DurationVar(&o.drain, "drain", 3*time.Minute, "how long the end of the traffic may take to be delivered")
	f.DurationVar(&o.absence, "absence", 600*time.Millisecond, "longest time between a kill and the next start")
	f.DurationVar(&o.echoWait, "echo-wait", 35*time.Second, "LPBRIDGE_ECHO_WAIT")
	without := f.Bool("no-notifications", false, "let LivePerson send no notifications; repeated messages are then counted, not held against lpbridge")
	f.StringVar(&o.bridge, "bridge", "", "lpbridge binary (default: built from the source)")
	f.StringVar(&o.keep, "keep", "", "directory to keep logs and journal in (default: a temporary one)")
	f.IntVar(&o.runs, "runs", 1, "how many runs there are one after the other, each with the next seed")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if *hard {
		o.harden(f, faults)
	}
	o.notifications = !*without
	var err error
	if o.blows, err = kindsNamed(*blows); err != nil {
		return o, fmt.Errorf("-blows: %w", err)
	}
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
	case o.store != onSQLite && o.store != onPostgres:
		return errors.New("-store: want sqlite or postgres")
	case o.replicas < 1 || o.replicas > mostReplicas:
		return fmt.Errorf("-replicas: want 1 to %d", mostReplicas)
	case o.replicas > 1 && o.store != onPostgres:
		return errors.New("-replicas: several need -store postgres")
	case o.kills > 0 && draws(o.blows, o.replicas) == 0:
		return errors.New("-blows: none of these is possible with one replica")
	case o.runs < 1 || o.runs > mostRuns:
		return fmt.Errorf("-runs: want 1 to %d", mostRuns)
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
