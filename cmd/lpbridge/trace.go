package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lpbridge/bridge"
)

const traceHelp = `Tell the way of an event, or of all events of a thread, by its id: when it was accepted and
from where, how deliveries ended, where LivePerson has it, and the receipts about it. It
asks the running bridge of the same environment and shows ids only.

Events that were delivered are known for LPBRIDGE_RETENTION and some hours more.`

// traceCommand tells what became of an event or of a thread.
func traceCommand(env environment) *cobra.Command {
	var channel string
	command := &cobra.Command{
		Use: "trace EVENT|THREAD", Short: "Tell what became of an event or of a thread", Long: traceHelp,
		Example: "  lpbridge trace evt-1\n  lpbridge trace t-42 --channel webhook",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("%w: trace takes the id of an event or of a thread", errUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := adminClient(env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), deadLettersTime)
			defer cancel()
			trace, err := client.Trace(ctx, channel, args[0])
			if err != nil {
				return err
			}
			return printTrace(env.stdout, &trace)
		},
	}
	command.Flags().StringVar(&channel, "channel", "", "only in this `CHANNEL`")
	return command
}

func printTrace(out io.Writer, t *bridge.Trace) error {
	for i := range t.Threads {
		thread := &t.Threads[i]
		fmt.Fprintf(out, "thread %s of %s, consumer %s\n", thread.Thread, thread.Channel, cmp.Or(thread.ExtConsumer, "not known yet"))
		for _, c := range thread.Conversations {
			state := "over"
			if c.Open {
				state = "open"
			}
			fmt.Fprintf(out, "  conversation %s, %s%s%s\n", c.ID, state, moment(", began ", c.Began), moment(", ended ", c.Ended))
		}
	}
	if t.Older {
		fmt.Fprintln(out, "older events are left out")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range t.Events {
		printTraced(w, &t.Events[i])
	}
	return w.Flush()
}

// printTraced writes an event in the order of what happened to it.
func printTraced(w io.Writer, e *bridge.TracedEvent) {
	from, to := e.Channel, "LivePerson"
	if e.Direction == bridge.ToChannel.String() {
		from, to = to, from
	}
	about := string(e.ID)
	if e.Part != "" {
		about += " (" + e.Part + ")"
	}
	fmt.Fprintf(w, "%s\taccepted\tseq %d, %s %s from %s for %s, thread %s\n", stamp(e.Accepted), e.Seq, e.Kind, cmp.Or(about, "without an id"), from, to, e.Thread)
	if e.Failures > 0 {
		fmt.Fprintf(w, "\tfailed\t%s, the last time %s: %s\n", times(e.Failures), e.Last, cmp.Or(e.Answer, "no reason was given"))
	}
	if !e.InDoubtSince.IsZero() {
		fmt.Fprintf(w, "%s\tin doubt\tit may have arrived though nobody said so\n", stamp(e.InDoubtSince))
	}
	switch e.State {
	case "pending":
		fmt.Fprintf(w, "\tpending\t%s\n", strings.TrimPrefix(moment(", tried again at ", e.NextTry)+", waits", ", "))
	case "dead":
		fmt.Fprintf(w, "%s\tdead\tneeds a decision: lpbridge deadletters show %d\n", stamp(e.Settled), e.Seq)
	default:
		fmt.Fprintf(w, "%s\tsettled\tno further delivery is needed\n", stamp(e.Settled))
	}
	if e.Sequence != nil {
		fmt.Fprintf(w, "\tlies\tin dialog %s at %d\n", e.Dialog, *e.Sequence)
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func moment(before string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return before + stamp(t)
}
