package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"lpbridge/bridge/console"
	"lpbridge/config"
)

// deadLettersTime bounds one call of the command to the running bridge.
const deadLettersTime = time.Minute

const deadLettersUsage = `Usage: lpbridge deadletters list [flags]
       lpbridge deadletters replay SEQ… | replay -all [flags]
       lpbridge deadletters discard SEQ… | discard -all [flags]

It asks the running bridge of the same environment. Flags:
`

// deadLettersCommand lists, replays and discards through the admin listener:
// the journal has one writer, and that is the running bridge.
func deadLettersCommand(ctx context.Context, env environment) error {
	flags := flag.NewFlagSet("deadletters", flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	flags.Usage = func() {
		fmt.Fprint(env.stderr, deadLettersUsage)
		flags.PrintDefaults()
	}
	var filter console.Filter
	flags.StringVar(&filter.Channel, "channel", "", "only letters of this channel")
	flags.StringVar(&filter.Outcome, "outcome", "", "only letters that ended so, such as invalid")
	flags.BoolVar(&filter.All, "all", false, "replay or discard every letter the other flags leave")
	verb, seqs, err := parseVerb(flags, env.args)
	if err != nil {
		return err
	}
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, env.lookup); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deadLettersTime)
	defer cancel()
	client := &console.Client{BaseURL: localURL(section.Bridge.AdminListen), HTTP: http.DefaultClient}
	return deadLetters(ctx, env, client, filter, verb, seqs)
}

// parseVerb takes flags before and after the verb.
func parseVerb(flags *flag.FlagSet, args []string) (verb string, seqs []string, err error) {
	if flags.Parse(args) != nil {
		return "", nil, errUsage
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return "", nil, errUsage
	}
	verb = flags.Arg(0)
	if flags.Parse(flags.Args()[1:]) != nil {
		return "", nil, errUsage
	}
	return verb, flags.Args(), nil
}

// deadLetters carries out one of the command's verbs.
func deadLetters(ctx context.Context, env environment, client *console.Client, filter console.Filter, verb string, seqs []string) error {
	one := map[string]func(context.Context, int64) error{"replay": client.Replay, "discard": client.Discard}[verb]
	many := map[string]func(context.Context, console.Filter) (int, error){
		"replay": client.ReplayMatching, "discard": client.DiscardMatching,
	}[verb]
	switch {
	case verb == "list":
		return listDeadLetters(ctx, env, client, filter)
	case one == nil:
		return fmt.Errorf("%w: %q is not list, replay or discard", errUsage, verb)
	case filter.All == (len(seqs) > 0):
		return fmt.Errorf("%w: %s takes either numbers of dead letters or -all", errUsage, verb)
	case filter.All:
		// To the bridge All means that nothing else is set.
		filter.All = filter.Channel == "" && filter.Outcome == ""
		n, err := many(ctx, filter)
		fmt.Fprintf(env.stdout, "%s: %d\n", verb, n)
		return err
	}
	for _, text := range seqs {
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: %q is not the number of a dead letter", errUsage, text)
		}
		if err := one(ctx, seq); err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "%s: %d\n", verb, seq)
	}
	return nil
}

// listDeadLetters prints a table, without what the letters say.
func listDeadLetters(ctx context.Context, env environment, client *console.Client, filter console.Filter) error {
	w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tCHANNEL\tDIRECTION\tKIND\tTHREAD\tOUTCOME\tATTEMPTS\tACCEPTED\tDIED")
	for l, err := range client.All(ctx, filter) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Seq, l.Channel, l.Direction, l.Kind, l.Thread, l.Outcome,
			l.Attempts, l.Accepted.Format(time.RFC3339), l.Died.Format(time.RFC3339))
	}
	return w.Flush()
}
