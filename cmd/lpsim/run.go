package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"lpbridge/connector/lpsim"
	"lpbridge/connector/lpsim/scenario"
)

const runHelp = `Try a connector and say what it did wrong. Without a scenario all that are shipped are
played; a scenario is a shipped one's name or a file.

The connector must run, use this simulator as LivePerson, take consumers' events at
--connector and LivePerson's notifications at --notifications, and bring what agents do
to the channel at LPSIM_CHANNEL_LISTEN. The exit code is 1 when it did something wrong.`

// errWrong says that a connector did not pass.
var errWrong = errors.New("the connector did something wrong")

// trial are the flags of run.
type trial struct {
	connector, notifications string
	list                     bool
	// within, if set, is how long everything may take instead of what the scenario says.
	within time.Duration
}

func runCommand(env environment) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use: "run [SCENARIO]...", Short: "Try a connector and say what it did wrong", Long: runHelp,
		Example: "  lpsim run --connector http://127.0.0.1:8080/channels/webhook --notifications http://127.0.0.1:8080/webhooks/liveperson",
		RunE: func(cmd *cobra.Command, names []string) error {
			if t.list {
				return listScenarios(env.out)
			}
			return t.run(cmd.Context(), env, names)
		},
	}
	cmd.Flags().StringVar(&t.connector, "connector", "", "where consumers' events are POSTed")
	cmd.Flags().StringVar(&t.notifications, "notifications", "", "where LivePerson's notifications are POSTed")
	cmd.Flags().DurationVar(&t.within, "within", 0, "how long everything may take after the last step (default: as the scenario says)")
	cmd.Flags().BoolVar(&t.list, "list", false, "list the scenarios that are shipped")
	return cmd
}

func listScenarios(out io.Writer) error {
	for _, name := range scenario.Shipped() {
		s, err := scenario.Load(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-22s %s\n", name, s.About)
	}
	return nil
}

// run plays scenarios one after the other.
func (t trial) run(ctx context.Context, env environment, names []string) error {
	for flag, address := range map[string]string{"--connector": t.connector, "--notifications": t.notifications} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%w: %s must be an http or https address", errUsage, flag)
		}
	}
	if len(names) == 0 {
		names = scenario.Shipped()
	}
	plays := make([]scenario.Scenario, len(names))
	for i, name := range names {
		var err error
		if plays[i], err = scenario.Load(name); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if t.within > 0 {
			plays[i].Within = scenario.Duration(t.within)
		}
	}
	c, s, err := load(env)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(env.log, nil))
	c.Logger = logger
	sim := lpsim.New(c)
	runner := scenario.NewRunner(sim, scenario.Options{Connector: t.connector, Token: s.ChannelToken, Notifications: t.notifications})
	stop, err := both(sim, runner, s, logger)
	if err != nil {
		return err
	}
	defer stop()
	return t.play(ctx, env.out, runner, names, plays)
}

// both serves the simulator and the channel.
func both(sim *lpsim.Sim, runner *scenario.Runner, s settings, logger *slog.Logger) (stop func(), err error) {
	livePerson, _, err := open(s)
	if err != nil {
		return nil, err
	}
	channel, err := net.Listen("tcp", s.Channel)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("LPSIM_CHANNEL_LISTEN: %w", err), livePerson.Close())
	}
	servers := []io.Closer{serveUntilClosed(newServer(sim, logger), livePerson), serveUntilClosed(newServer(runner, logger), channel)}
	return func() {
		sim.Close()
		for _, s := range servers {
			_ = s.Close()
		}
	}, nil
}

// serveUntilClosed serves; who closes the server ends it.
func serveUntilClosed(server interface {
	io.Closer
	Serve(net.Listener) error
}, l net.Listener) io.Closer {
	go func() { _ = server.Serve(l) }()
	return server
}

func (t trial) play(ctx context.Context, out io.Writer, runner *scenario.Runner, names []string, plays []scenario.Scenario) error {
	failed := 0
	for i, play := range plays {
		report, err := runner.Run(ctx, play)
		if err != nil {
			return fmt.Errorf("scenario %s: %w", names[i], err)
		}
		word := "ok"
		if len(report.Wrong) > 0 {
			word = "WRONG"
			failed++
		}
		fmt.Fprintf(out, "%-6s %-22s %s (%d said, %d written, %s)\n", word, names[i], play.About, report.Said, report.Written, report.Took)
		for _, c := range report.Wrong {
			fmt.Fprintf(out, "       %s\n", c)
		}
		for _, line := range report.Refusals {
			fmt.Fprintf(out, "       LivePerson refused: %s\n", line)
		}
	}
	fmt.Fprintf(out, "%d of %d scenarios passed\n", len(plays)-failed, len(plays))
	if failed > 0 {
		return errWrong
	}
	return nil
}
