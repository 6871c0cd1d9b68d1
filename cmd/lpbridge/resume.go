package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// resumeTime bounds the call of the command to the running bridge.
const resumeTime = 30 * time.Second

const resumeHelp = `Let a far side be asked at once whether it is well: liveperson, or the name of a channel.
It is for when one is throttled, down or refuses the credential, and an operator knows better
than the pause it asked for: the next delivery is tried now, and when it gets through all
others follow. It changes nothing while all is well. /status says the state of each far side.`

// resumeCommand lets far sides be asked at once, through the admin listener.
func resumeCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use: "resume FAR-SIDE…", Short: "Ask a far side at once that is throttled, down or refuses us", Long: resumeHelp,
		Example: "  lpbridge resume liveperson\n  lpbridge resume webhook chatwoot",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%w: resume takes liveperson or the names of channels", errUsage)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := adminClient(env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), resumeTime)
			defer cancel()
			for _, name := range args {
				if err := client.Resume(ctx, name); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				fmt.Fprintf(env.stdout, "resume: %s\n", name)
			}
			return nil
		},
	}
}
