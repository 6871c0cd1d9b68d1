package main

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lpbridge/bridge/console"
	"lpbridge/internal/progress"
)

// deadLettersTime bounds one call of the command to the running bridge, but for exports.
const deadLettersTime = time.Minute

const deadLettersHelp = `List, show, export, replay or discard what could not be delivered. It asks the running bridge of the
same environment, at LPBRIDGE_ADMIN_LISTEN: the journal has one writer, and that is the
bridge.`

// deadLettersCommand lists, replays and discards through the admin listener.
func deadLettersCommand(env environment) *cobra.Command {
	var filter console.Filter
	command := &cobra.Command{
		Use: "deadletters", Short: "List, show, export, replay or discard what could not be delivered", Long: deadLettersHelp,
		Example: "  lpbridge deadletters list --channel webhook\n  lpbridge deadletters replay 17 18\n  lpbridge deadletters show 17 --content\n  lpbridge deadletters discard --all --outcome invalid --export kept.ndjson",
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(env.stderr)
			_ = cmd.Help()
			return fmt.Errorf("%w: list, show, export, replay or discard is needed", errUsage)
		},
	}
	flags := command.PersistentFlags()
	flags.StringVar(&filter.Channel, "channel", "", "only letters of this `CHANNEL`")
	flags.StringVar(&filter.Outcome, "outcome", "", "only letters that ended with this `OUTCOME`, such as invalid")
	command.AddCommand(
		plain(env, "list", "List dead letters, without what they say", "", func(ctx context.Context, env environment) error {
			return listDeadLetters(ctx, env, filter)
		}),
		showCommand(env),
		exportCommand(env, &filter),
		decisionCommand(env, "replay", "Deliver dead letters once more", &filter, decision{(*console.Client).Replay, (*console.Client).ReplayMatching}),
		decisionCommand(env, "discard", "Give dead letters up for good", &filter, decision{(*console.Client).Discard, (*console.Client).DiscardMatching}))
	return command
}

// decision is what becomes of one letter, or of all a filter leaves.
type decision struct {
	one  func(*console.Client, context.Context, int64) error
	many func(*console.Client, context.Context, console.Filter) (int, error)
}

// decisionCommand carries a decision out on letters named by number, or on all.
func decisionCommand(env environment, name, short string, filter *console.Filter, d decision) *cobra.Command {
	var all bool
	var keep string
	command := &cobra.Command{
		Use: name + " SEQ… | --all", Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			// A forgotten number must not decide on everything.
			if all == (len(args) > 0) {
				return fmt.Errorf("%w: %s takes either numbers of dead letters or --all", errUsage, name)
			}
			_, err := sequences(args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := adminClient(env)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if keep != "" {
				return discardKept(ctx, env, client, *filter, args, keep)
			}
			if all {
				ctx, cancel := context.WithTimeout(ctx, deadLettersTime)
				defer cancel()
				// To the bridge All means that nothing else is set.
				filter.All = filter.Channel == "" && filter.Outcome == ""
				n, err := d.many(client, ctx, *filter)
				fmt.Fprintf(env.stdout, "%s: %d\n", name, n)
				return err
			}
			return decideEach(ctx, env, client, name, d, args)
		},
	}
	command.Flags().BoolVar(&all, "all", false, name+" every letter the other flags leave")
	if name == "discard" {
		command.Flags().StringVar(&keep, "export", "", "write the letters and what they say to a new `FILE` first")
	}
	return command
}

// discardKept gives up for good what it wrote to a file, and nothing else.
func discardKept(ctx context.Context, env environment, client *console.Client, filter console.Filter, args []string, path string) error {
	only, err := sequences(args)
	if err != nil {
		return err
	}
	var kept, discarded atomic.Int64
	stop := progress.Show(env.stderr, func() string {
		return fmt.Sprintf("%d dead letters written to the file, %d discarded", kept.Load(), discarded.Load())
	})
	defer stop()
	seqs, err := keepLetters(ctx, client, filter, only, path, &kept)
	if err != nil {
		return fmt.Errorf("nothing was discarded: %w", err)
	}
	for _, seq := range seqs {
		if err := decideOne(ctx, client, decision{one: (*console.Client).Discard}, seq); err != nil {
			return fmt.Errorf("after %d were discarded: %w", discarded.Load(), err)
		}
		discarded.Add(1)
	}
	stop()
	fmt.Fprintf(env.stdout, "discard: %d, kept in %s\n", len(seqs), path)
	return nil
}

func decideOne(ctx context.Context, client *console.Client, d decision, seq int64) error {
	ctx, cancel := context.WithTimeout(ctx, deadLettersTime)
	defer cancel()
	return d.one(client, ctx, seq)
}

func decideEach(ctx context.Context, env environment, client *console.Client, name string, d decision, args []string) error {
	seqs, err := sequences(args)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if err := decideOne(ctx, client, d, seq); err != nil {
			return err
		}
		fmt.Fprintf(env.stdout, "%s: %d\n", name, seq)
	}
	return nil
}

// sequences reads the numbers of dead letters.
func sequences(args []string) ([]int64, error) {
	seqs := make([]int64, len(args))
	for i, text := range args {
		seq, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is not the number of a dead letter", errUsage, text)
		}
		seqs[i] = seq
	}
	return seqs, nil
}

// listDeadLetters prints a table, without what the letters say.
func listDeadLetters(ctx context.Context, env environment, filter console.Filter) error {
	client, err := adminClient(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deadLettersTime)
	defer cancel()
	w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEQ\tCHANNEL\tDIRECTION\tKIND\tTHREAD\tOUTCOME\tATTEMPTS\tACCEPTED\tDIED\tEVENT\tWHY\tANSWER")
	for l, err := range client.All(ctx, filter) {
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Seq, l.Channel, l.Direction, l.Kind, l.Thread, l.Outcome,
			l.Attempts, l.Accepted.Format(time.RFC3339), l.Died.Format(time.RFC3339), l.ID, l.Why, l.Answer)
	}
	return w.Flush()
}
