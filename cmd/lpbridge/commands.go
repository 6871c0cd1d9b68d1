package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// errUsage is a command line that makes no sense.
var errUsage = errors.New("wrong arguments")

// commandLine is the program as a tree of commands, about to run with args.
func commandLine(args []string, env environment) *cobra.Command {
	root := &cobra.Command{
		Use:     "lpbridge",
		Short:   "Relay between chat channels and LivePerson Conversational Cloud",
		Long:    "lpbridge relays between chat channels and LivePerson Conversational Cloud.\n\nAll settings are environment variables; `lpbridge variables` and docs/configuration.md list them.",
		Version: version(),
		// What went wrong is said once, by execute.
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(env.stderr)
			_ = cmd.Help()
			return fmt.Errorf("%w: a command is needed", errUsage)
		},
	}
	root.SetArgs(args)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(
		plain(env, "run", "Relay until SIGTERM", runHelp, runCommand),
		plain(env, "sandbox", "The same together with a LivePerson simulator, nothing to configure", sandboxHelp, sandboxCommand),
		hidden(plain(env, sandboxBridge, "Run the bridge of a sandbox", "", sandboxBridgeCommand)),
		checkTree(env),
		manifestCommand(env),
		deadLettersCommand(env),
		resumeCommand(env),
		traceCommand(env),
		consumerCommand(env),
		backupCommand(env),
		migrateStoreCommand(env),
		plain(env, "healthcheck", "Ask a running lpbridge whether it is ready, for containers", healthCheckHelp, healthCheckCommand),
		plain(env, "variables", "List every environment variable as Markdown", "", variablesCommand),
		plain(env, "channels", "List what every channel can do as Markdown", "", channelsCommand),
		plain(env, "version", "Print the version", "", versionCommand),
	)
	return root
}

// plain is a command without flags and arguments.
func plain(env environment, name, short, long string, run func(context.Context, environment) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Long: long,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: %s takes none", errUsage, cmd.Name())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), env) },
	}
}

// hidden is a command that other commands run.
func hidden(command *cobra.Command) *cobra.Command {
	command.Hidden = true
	return command
}

// knownCommand refuses a command, or a command's verb, that there is not.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("%w: there is no command %q", errUsage, args[0])
	// A third of the letters may be wrong, as for variables.
	cmd.SuggestionsMinimumDistance = max(1, len(args[0])/3)
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w; did you mean %s?", err, near[0])
	}
	return fmt.Errorf("%w; %s --help lists them", err, cmd.CommandPath())
}

const (
	runHelp = `Relay until SIGTERM or SIGINT. What is wrong with the configuration is reported all
at once, and the process ends with exit code 2.

A stop finishes what is under way and ends typing, for at most LPBRIDGE_SHUTDOWN_TIMEOUT;
a second signal ends the process at once, which loses nothing that was accepted.`

	sandboxHelp = `Run a bridge, a simulated LivePerson and a page to play both sides and to make them
misbehave, and print what to open and what to curl. It honours the variables of run and
has a default for every one that is required; LPSIM_LISTEN is the simulator's address.
It reaches nothing outside this machine, and nothing is kept.`

	checkHelp = `Say line by line what of the configuration works: the store, LivePerson's domains,
the AppJWT, every channel. It may run beside a running bridge; it relays and writes
nothing. The exit code is 1 when a check failed and 2 when the configuration is bad.

With --learn it then opens test conversations with the account, tries what LivePerson's
pages leave open, closes them, and says what it learnt; it first says what an agent will
see. Nothing secret and nobody's words are in the report.`

	healthCheckHelp = `Ask the bridge of the same environment whether it is ready. The exit code is 0 when
it is, 1 when it is not.`
)
