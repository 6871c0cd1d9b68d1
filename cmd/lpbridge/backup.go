package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"lpbridge/bridge/journal"
	"lpbridge/config"
)

const backupHelp = `Write a copy of the journal to a new file, as it is at one moment: events that wait,
threads, history. The bridge of the same environment may run, and is not held up. With - the
copy goes to standard output, for containers whose files are hard to reach:

  kubectl exec lpbridge-0 -- /lpbridge backup - > lpbridge.db

The copy holds what people wrote. docs/operations.md tells how to put it back.`

func backupCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the journal, beside a running bridge or without one", Long: backupHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: backup takes the name of a new file, or -", errUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return backUp(cmd.Context(), env, args[0]) },
	}
}

func backUp(ctx context.Context, env environment, to string) error {
	var section struct {
		Bridge config.Bridge `env:",prefix=LPBRIDGE_"`
	}
	if _, err := config.Load(&section, env.lookup); err != nil {
		return err
	}
	path := section.Bridge.Store.Path()
	if path == "" {
		return errors.New("LPBRIDGE_STORE: a database of PostgreSQL is copied with its own tools: pg_dump --schema=lpbridge, or pg_basebackup")
	}
	if to == "-" {
		return streamBackup(ctx, path, env.stdout)
	}
	if err := journal.Backup(ctx, path, to); err != nil {
		return err
	}
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "%s: %d bytes, looked through\n", to, info.Size())
	return err
}

// streamBackup makes the copy beside the journal, where there is room for it, and
// writes it out.
func streamBackup(ctx context.Context, path string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), "backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := filepath.Join(dir, "copy")
	if err := journal.Backup(ctx, path, name); err != nil {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}
