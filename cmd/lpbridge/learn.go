package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lpbridge/connector/learn"
	"lpbridge/lpauth"
)

// check are the flags of the command.
type check struct {
	learn  bool
	report string
}

func checkTree(env environment) *cobra.Command {
	var flags check
	cmd := plain(env, "check", "Say what of the configuration works, without relaying anything", checkHelp, func(ctx context.Context, env environment) error {
		if flags.report != "" && !flags.learn {
			return fmt.Errorf("%w: --report goes with --learn", errUsage)
		}
		if err := checkCommand(ctx, env); err != nil || !flags.learn {
			return err
		}
		return flags.learnFrom(ctx, env)
	})
	cmd.Flags().BoolVar(&flags.learn, "learn", false, "then hold test conversations with the account, and learn what LivePerson's pages leave open")
	cmd.Flags().StringVar(&flags.report, "report", "", "with --learn: write what was learnt to this file, for lpsim to load")
	return cmd
}

// learnFrom asks the account, and says beforehand what an agent will see.
func (c check) learnFrom(ctx context.Context, env environment) error {
	s, err := loadSettings(env)
	if err != nil {
		return err
	}
	lp, err := newLivePerson(s)
	if err != nil {
		return err
	}
	defer lp.close()
	fmt.Fprintf(env.stdout, "\nlearning from account %s\n%s\n\n", s.LivePerson.AccountID, learn.Announcement)
	report, err := learn.New(learn.Options{
		AccountID: lpauth.AccountID(s.LivePerson.AccountID), ClientID: s.LivePerson.ClientID,
		DomainAPI: strings.TrimSuffix(s.LivePerson.DomainAPIURL.String(), "/"),
		Domains:   lp.domains, AppTokens: lp.tokens, Consumers: lp.consumers,
		Transport: lpauth.NewTransport(lpauth.TransportOptions{}), UserAgent: userAgent(),
	}).Run(ctx)
	printFindings(env.stdout, report)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	if c.report == "" {
		return nil
	}
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.report, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	fmt.Fprintf(env.stdout, "\nwritten to %s; LPSIM_FAULTS takes what is below \"faults\" there\n", c.report)
	return nil
}

func printFindings(out io.Writer, report learn.Report) {
	for _, f := range report.Findings {
		if f.Unsettled != "" {
			fmt.Fprintf(out, "?     %-22s %s (status %d)\n", f.Knob, f.Unsettled, f.Status)
			continue
		}
		fmt.Fprintf(out, "learnt %-21s %v (status %d)\n", f.Knob, f.Value, f.Status)
	}
}
