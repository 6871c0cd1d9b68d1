package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"lpbridge/bridge/console"
)

const (
	showHelp = `Say of one dead letter why it was given up and what the far side said. With --content
also what it says, which is a consumer's or an agent's text: the bridge logs that.`

	exportHelp = `Write dead letters to the standard output, a line of JSON each, so that they can be kept
before they are discarded. With --content also what they say; the bridge logs that.`
)

// showCommand says all about one dead letter.
func showCommand(env environment) *cobra.Command {
	var content bool
	command := &cobra.Command{
		Use: "show SEQ", Short: "Say why a dead letter was given up", Long: showHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: show takes the number of a dead letter", errUsage)
			}
			_, err := sequences(args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			seqs, err := sequences(args)
			if err != nil {
				return err
			}
			client, err := adminClient(env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), deadLettersTime)
			defer cancel()
			letter, err := client.Show(ctx, seqs[0], content)
			if err != nil {
				return err
			}
			return printLetter(env.stdout, letter)
		},
	}
	command.Flags().BoolVar(&content, "content", false, "show what it says, which the bridge logs")
	return command
}

func printLetter(out io.Writer, l console.Letter) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range [][2]any{
		{"seq", l.Seq}, {"channel", l.Channel}, {"direction", l.Direction}, {"thread", l.Thread}, {"kind", l.Kind}, {"event", l.ID},
		{"accepted", l.Accepted.Format(time.RFC3339)}, {"died", l.Died.Format(time.RFC3339)}, {"attempts", l.Attempts},
		{"outcome", l.Outcome}, {"why", l.Why}, {"answer", l.Answer}, {"content", string(l.Content)},
	} {
		if fmt.Sprint(row[1]) != "" {
			fmt.Fprintf(w, "%v\t%v\n", row[0], row[1])
		}
	}
	return w.Flush()
}

// exportCommand writes letters where they can be kept.
func exportCommand(env environment, filter *console.Filter) *cobra.Command {
	var content bool
	command := plain(env, "export", "Write dead letters as lines of JSON", exportHelp, func(ctx context.Context, env environment) error {
		client, err := adminClient(env)
		if err != nil {
			return err
		}
		return client.Export(ctx, *filter, content, env.stdout)
	})
	command.Flags().BoolVar(&content, "content", false, "with what they say, which the bridge logs")
	return command
}

// keepLetters writes what is about to be discarded to a file, contents included,
// and returns the numbers of what is there once the file is on disk. A file that
// is there already is left alone.
func keepLetters(ctx context.Context, client *console.Client, filter console.Filter, only []int64, path string, kept *atomic.Int64) (seqs []int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if len(only) > 0 {
		seqs, err = only, keepSome(ctx, client, only, lineCount{file, kept})
	} else {
		seqs, err = keepMatching(ctx, client, filter, lineCount{file, kept})
	}
	return seqs, errors.Join(err, file.Sync())
}

// lineCount counts the lines that are written, each with one call.
type lineCount struct {
	to    io.Writer
	lines *atomic.Int64
}

func (c lineCount) Write(line []byte) (int, error) {
	n, err := c.to.Write(line)
	if err == nil {
		c.lines.Add(1)
	}
	return n, err
}

func keepSome(ctx context.Context, client *console.Client, seqs []int64, to io.Writer) error {
	out := json.NewEncoder(to)
	for _, seq := range seqs {
		letter, err := showOne(ctx, client, seq)
		if err != nil {
			return err
		}
		if err := out.Encode(letter); err != nil {
			return err
		}
	}
	return nil
}

func showOne(ctx context.Context, client *console.Client, seq int64) (console.Letter, error) {
	ctx, cancel := context.WithTimeout(ctx, deadLettersTime)
	defer cancel()
	return client.Show(ctx, seq, true)
}

func keepMatching(ctx context.Context, client *console.Client, filter console.Filter, to io.Writer) (seqs []int64, err error) {
	from, into := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		err := client.Export(ctx, filter, true, into)
		exported <- errors.Join(err, into.CloseWithError(err))
	}()
	lines := bufio.NewReader(from)
	for {
		line, readErr := lines.ReadBytes('\n')
		if len(line) > 0 {
			var letter console.Letter
			if err := json.Unmarshal(line, &letter); err != nil {
				return nil, fmt.Errorf("export: %w", err)
			}
			if _, err := to.Write(line); err != nil {
				return nil, errors.Join(err, from.CloseWithError(err))
			}
			seqs = append(seqs, letter.Seq)
		}
		if readErr != nil {
			// How the export ended says whether this was all.
			return seqs, <-exported
		}
	}
}
