package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"lpbridge/bridge"
	"lpbridge/bridge/console"
)

// consumerTime bounds the call of the command to the running bridge, which reads all
// of its journal.
const consumerTime = 20 * time.Minute

const (
	consumerHelp = `Export or erase everything that is kept of one consumer. CONSUMER is the channel's own id of
them, or the ext_consumer_id that LivePerson has, which needs no --channel; lpbridge trace
says it of a thread. It asks the running bridge of the same environment, which logs that it
was asked.`

	exportConsumerHelp = `Write everything that is kept of one consumer to the standard output, a line of JSON each: who
they are, threads, conversations, messages and all else that was relayed, dead letters, and
the records of their channel with files. Credentials are named and not shown.`

	eraseConsumerHelp = `Remove everything that is kept of one consumer, dead letters and files included, and overwrite
it in the database. While a conversation of theirs is open or something waits to be delivered
nothing is removed; with --close what is open is closed first, which the agent sees.

Erase in the channel's own system first, or what it sends again is kept again. LivePerson and
backups have what they have.`
)

// consumerCommand shows and erases what is kept of one person.
func consumerCommand(env environment) *cobra.Command {
	var subject console.Subject
	var threads []string
	command := &cobra.Command{
		Use: "consumer", Short: "Export or erase what is kept of one consumer", Long: consumerHelp,
		Example: "  lpbridge consumer export u-7 --channel webhook > u-7.ndjson\n  lpbridge consumer erase u-7 --channel webhook --close",
		Args:    knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(env.stderr)
			_ = cmd.Help()
			return fmt.Errorf("%w: export or erase is needed", errUsage)
		},
	}
	flags := command.PersistentFlags()
	flags.StringVar(&subject.Channel, "channel", "", "the consumer's `CHANNEL`")
	flags.StringArrayVar(&threads, "thread", nil, "a `THREAD` of theirs, where the channel keeps something that names nobody; may be repeated")
	command.AddCommand(exportConsumerCommand(env, &subject, &threads), eraseConsumerCommand(env, &subject, &threads))
	return command
}

// aboutConsumer is a command about one consumer.
func aboutConsumer(env environment, name, short, long string, subject *console.Subject, threads *[]string, do func(context.Context, *console.Client, console.Subject, io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " [CONSUMER]", Short: short, Long: long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 0 && len(*threads) == 0 {
				return fmt.Errorf("%w: %s takes the id of a consumer, or --thread", errUsage, name)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := adminClient(env)
			if err != nil {
				return err
			}
			about := *subject
			for _, thread := range *threads {
				about.Threads = append(about.Threads, bridge.ThreadID(thread))
			}
			if len(args) > 0 {
				about.Consumer = bridge.ConsumerID(args[0])
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), consumerTime)
			defer cancel()
			return do(ctx, client, about, env.stdout)
		},
	}
}

func exportConsumerCommand(env environment, subject *console.Subject, threads *[]string) *cobra.Command {
	return aboutConsumer(env, "export", "Write what is kept of a consumer as lines of JSON", exportConsumerHelp, subject, threads,
		func(ctx context.Context, client *console.Client, about console.Subject, out io.Writer) error {
			return client.ExportConsumer(ctx, about, out)
		})
}

func eraseConsumerCommand(env environment, subject *console.Subject, threads *[]string) *cobra.Command {
	var closing bool
	command := aboutConsumer(env, "erase", "Remove what is kept of a consumer", eraseConsumerHelp, subject, threads,
		func(ctx context.Context, client *console.Client, about console.Subject, out io.Writer) error {
			about.Close = closing
			erased, err := client.EraseConsumer(ctx, about)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "erased: %d consumers, %d threads, %d conversations, %d events of which %d dead letters, %d records, %d other rows\n",
				erased.Consumers, erased.Threads, erased.Conversations, erased.Events, erased.DeadLetters, erased.Records, erased.Others)
			return err
		})
	command.Flags().BoolVar(&closing, "close", false, "close what is open first")
	return command
}
