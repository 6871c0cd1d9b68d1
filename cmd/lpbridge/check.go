package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// checkTime bounds each step of the check.
const checkTime = 15 * time.Second

// services are LivePerson's services the bridge calls, and whether it can do
// without (Domain API).
var services = []struct {
	name     string
	optional bool
}{{"asyncMessagingEnt", false}, {"sentinel", false}, {"idp", false}, {"smt", true}, {"swift", true}}

// checkCommand says line by line what of the configuration works. It writes
// nothing and relays nothing.
func checkCommand(ctx context.Context, env environment) error {
	s, err := loadSettings(env)
	if err != nil {
		return err
	}
	c := checker{out: env.stdout}
	c.report("configuration", fmt.Sprintf("%d variables", len(s.report.Settings)), nil)
	for _, w := range s.report.Warnings(env.all) {
		c.warn(w.Variable, w.Message)
	}
	c.warnOfDangers(s)
	c.checkStore(ctx, s)
	c.checkLivePerson(ctx, s)
	c.checkChannels(ctx, s)
	if c.failures > 0 {
		return fmt.Errorf("%d of the checks failed", c.failures)
	}
	return nil
}

// checker prints findings and counts the bad ones.
type checker struct {
	out      io.Writer
	failures int
}

func (c *checker) report(subject, detail string, err error) {
	if err != nil {
		c.failures++
		fmt.Fprintf(c.out, "FAIL  %-22s %v\n", subject, err)
		return
	}
	fmt.Fprintf(c.out, "ok    %-22s %s\n", subject, detail)
}

func (c *checker) warn(subject, detail string) {
	fmt.Fprintf(c.out, "warn  %-22s %s\n", subject, detail)
}

// checkStore looks at where the journal is or will be, and through what is there,
// without taking it: a running bridge may hold it.
func (c *checker) checkStore(ctx context.Context, s *settings) {
	if s.Bridge.Store.Path() == "" {
		c.checkDatabase(ctx, s)
		return
	}
	if err := probeStore(s.Bridge.Store.Path()); err != nil {
		c.report("store", "", fmt.Errorf("LPBRIDGE_STORE: %w", err))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	switch err := journal.Inspect(ctx, s.Bridge.Store.Path()); {
	case errors.Is(err, context.DeadlineExceeded):
		c.warn("store", fmt.Sprintf("can be written; it is too large to be looked through within %s", checkTime))
	case err != nil:
		c.report("store", "", fmt.Errorf("LPBRIDGE_STORE: %w", err))
	default:
		c.report("store", "can be written, and nothing in it is damaged", nil)
	}
}

// checkDatabase looks at a database of PostgreSQL, without taking the journal in it.
func (c *checker) checkDatabase(ctx context.Context, s *settings) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	found, err := journal.InspectPostgres(ctx, s.Bridge.Store.Reveal(), s.Bridge.StorePassword.Reveal())
	if err != nil {
		err = fmt.Errorf("LPBRIDGE_STORE: %w", err)
	}
	c.report("store", found, err)
}

// probeStore finds out whether the database can be made or written.
func probeStore(path string) error {
	probe, err := os.CreateTemp(existing(filepath.Dir(path)), ".lpbridge-check-*")
	if err != nil {
		return err
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	database, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return database.Close()
}

// existing is the nearest directory upwards that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// checkLivePerson resolves the account's domains and gets an AppJWT.
func (c *checker) checkLivePerson(ctx context.Context, s *settings) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	lp, err := newLivePerson(s)
	if err != nil {
		c.report("liveperson", "", err)
		return
	}
	defer lp.close()
	for _, service := range services {
		base, err := lp.domains.BaseURL(ctx, service.name)
		if err != nil && service.optional {
			c.warn("domain "+service.name, "not available: "+err.Error())
			continue
		}
		c.report("domain "+service.name, base, err)
	}
	_, err = lp.tokens.Token(ctx)
	c.report("AppJWT", "obtained for account "+s.LivePerson.AccountID, err)
	c.checkClock(ctx, s)
	c.checkFeatures(s, lp.features)
	c.checkPublicURL(ctx, s)
	switch s.LivePerson.Notifications {
	case "off":
		c.warn("notifications", "off: agents' messages will not reach the channels, and an unanswered message may be sent twice")
	default:
		c.report("notifications", "expected at POST "+publicURL(s)+notificationsPath, nil)
	}
}

func publicURL(s *settings) string {
	if s.Bridge.PublicURL == nil {
		return "https://HOST"
	}
	return s.Bridge.PublicURL.String()
}

// checkChannels makes each channel and lets it say what works.
func (c *checker) checkChannels(ctx context.Context, s *settings) {
	for _, ch := range s.channels {
		adapter, err := ch.build(unusedCore{})
		if err != nil {
			c.report("channel "+ch.name, "", err)
			continue
		}
		able, ok := adapter.(bridge.Checker)
		if !ok {
			c.report("channel "+ch.name, "configured", nil)
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		for _, f := range able.Check(ctx) {
			if f.Danger && f.Err == nil {
				c.warn(ch.name+" "+f.Subject, f.Detail)
				continue
			}
			c.report(ch.name+" "+f.Subject, f.Detail, f.Err)
		}
		cancel()
	}
}

// unusedCore is the core of an adapter that is only asked what works.
type unusedCore struct{ bridge.Core }

// Records implements [bridge.Core]. Adapters ask for them when they are made and
// use them when something happens, which is never.
func (unusedCore) Records() bridge.Records { return nil }

// Slots implements [bridge.Core].
func (unusedCore) Slots() int { return 0 }

// ConnectionClosed implements [bridge.Core].
func (unusedCore) ConnectionClosed(string) {}
