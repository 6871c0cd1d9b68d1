package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lpbridge/bridge/journal"
	"lpbridge/config"
	"lpbridge/internal/progress"
)

const migrateStoreHelp = `Copy the journal from a file to PostgreSQL, or back, with every lpbridge stopped that uses
either. Everything is carried over: what waits, what is in doubt, dead letters, known ids,
threads, history. Then every row is read again at the target and compared; the tables, their
rows and a checksum are printed.

--from and --to are stores as LPBRIDGE_STORE names them; one that is left out is that of
LPBRIDGE_STORE. Give the database's password in LPBRIDGE_STORE_PASSWORD, or the file it
names. The target must be new or empty. The source is only read: never start a bridge on it
again once one was started on the target, or what waited in it is sent once more.

A copy that was interrupted leaves a target on which no bridge starts; run the same command
again, and it begins anew.`

// migrateStoreCommand moves the journal between a file and PostgreSQL.
func migrateStoreCommand(env environment) *cobra.Command {
	var from, to string
	command := plain(env, "migrate-store", "Copy the journal from a file to PostgreSQL, or back", migrateStoreHelp, func(ctx context.Context, env environment) error {
		return migrateStore(ctx, env, from, to)
	})
	command.Example = "  lpbridge migrate-store --from sqlite:data/lpbridge.db --to 'postgres://lpbridge@db.example:5432/lpbridge?sslmode=verify-full'"
	command.Flags().StringVar(&from, "from", "", "the `STORE` to copy, instead of LPBRIDGE_STORE")
	command.Flags().StringVar(&to, "to", "", "the new `STORE`, instead of LPBRIDGE_STORE")
	return command
}

func migrateStore(ctx context.Context, env environment, from, to string) error {
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, env.lookup); err != nil {
		return err
	}
	if from == "" && to == "" {
		return fmt.Errorf("%w: migrate-store takes --from, --to, or both; the other is LPBRIDGE_STORE", errUsage)
	}
	ends := [2]config.Store{section.Bridge.Store, section.Bridge.Store}
	for i, flag := range []struct{ name, text string }{{"--from", from}, {"--to", to}} {
		if flag.text == "" {
			continue
		}
		var err error
		if ends[i], err = config.ParseStore(flag.text); err != nil {
			return fmt.Errorf("%w: %s %w", errUsage, flag.name, err)
		}
	}
	var step atomic.Pointer[journal.TransferStep]
	stop := progress.Show(env.stderr, func() string { return stepWords(step.Load()) })
	defer stop()
	done, err := journal.Transfer(ctx, journal.TransferOptions{
		From: ends[0].Reveal(), To: ends[1].Reveal(), Password: section.Bridge.StorePassword.Reveal(),
		Logger: slog.New(slog.DiscardHandler), Step: func(s journal.TransferStep) { step.Store(&s) },
	})
	stop()
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted, and the target is not finished: run the same command again: %w", err)
	case err != nil:
		return err
	}
	return printTransferred(env.stdout, done, ends)
}

// stepWords says how far a transfer is.
func stepWords(s *journal.TransferStep) string {
	switch {
	case s == nil:
		return "opening both stores"
	case s.Compared:
		return fmt.Sprintf("comparing %s: %d of %d rows", s.Table, s.Rows, s.Of)
	}
	return fmt.Sprintf("copying %s: %d of %d rows", s.Table, s.Rows, s.Of)
}

func printTransferred(out io.Writer, done *journal.Transferred, ends [2]config.Store) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "table\trows\tchecksum of both")
	var rows int64
	for _, t := range done.Tables {
		rows += t.Rows
		fmt.Fprintf(w, "%s\t%d\t%s\n", t.Name, t.Rows, t.Sum)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if done.Lost > 0 {
		fmt.Fprintf(out, "%d accepted events at most were missing already: the log of the file had lost its end\n", done.Lost)
	}
	_, err := fmt.Fprintf(out, "%d rows of %d tables are the same in %s and in %s. Start lpbridge with the second, and never with the first again.\n",
		rows, len(done.Tables), ends[0], ends[1])
	return err
}
