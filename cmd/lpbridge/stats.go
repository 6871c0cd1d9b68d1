package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/console"
	"lpbridge/bridge/journal"
	"lpbridge/lpauth"
)

// commits measures the journal's transactions.
type commits struct {
	duration, entries prometheus.Histogram
	failed            prometheus.Counter
}

func newCommits(reg prometheus.Registerer) *commits {
	c := &commits{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lpbridge_journal_commit_duration_seconds", Help: "How long transactions of the journal took, the flush included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}),
		entries: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lpbridge_journal_commit_events", Help: "How many events a transaction of the journal added.", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_journal_commits_failed_total", Help: "Transactions of the journal that were undone or failed.",
		}),
	}
	reg.MustRegister(c.duration, c.entries, c.failed)
	return c
}

// observe is told of every transaction, by the writer.
func (c *commits) observe(info journal.CommitInfo) {
	c.duration.Observe(info.Duration.Seconds())
	if info.Err != nil {
		c.failed.Inc()
		return
	}
	c.entries.Observe(float64(info.Entries))
}

// registerJournal adds what is read from the journal at each scrape.
func registerJournal(reg prometheus.Registerer, j *journal.Journal) {
	gauge := func(name, help string, value func(journal.Stats) float64, labels prometheus.Labels) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return value(j.Stats()) }))
	}
	const size = "Bytes the journal's files take, the log apart from the database."
	gauge("lpbridge_dead_letters", "Events that are not delivered by themselves any more.", func(s journal.Stats) float64 { return float64(s.Dead) }, nil)
	gauge("lpbridge_journal_lost_events", "Accepted events that may be missing because the log had lost its end before this process.",
		func(s journal.Stats) float64 { return float64(s.Lost) }, nil)
	gauge("lpbridge_journal_no_space", "1 while nothing is accepted for want of space.", func(s journal.Stats) float64 {
		if s.Scarce != "" {
			return 1
		}
		return 0
	}, nil)
	gauge("lpbridge_journal_size_bytes", size, func(s journal.Stats) float64 { return float64(s.DatabaseBytes) }, prometheus.Labels{"file": "database"})
	gauge("lpbridge_journal_size_bytes", size, func(s journal.Stats) float64 { return float64(s.LogBytes) }, prometheus.Labels{"file": "log"})
}

// registerToken adds what is read of the AppJWT at each scrape.
func registerToken(reg prometheus.Registerer, status func() lpauth.AppTokenStatus, most int) {
	counter := func(name, help string, value func(lpauth.AppTokenStatus) int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(status())) }))
	}
	counter("lpbridge_app_token_renewals_total", "How often LivePerson gave a new AppJWT.", func(s lpauth.AppTokenStatus) int64 { return s.Renewed })
	counter("lpbridge_app_token_failures_total", "How often LivePerson was asked for an AppJWT in vain.", func(s lpauth.AppTokenStatus) int64 { return s.Failed })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lpbridge_app_token_expiry_timestamp_seconds", Help: "When the AppJWT ends, in seconds since 1970; 0 while there is none.",
	}, func() float64 {
		s := status()
		if !s.Valid {
			return 0
		}
		return float64(s.Expires.Unix())
	}), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lpbridge_events_pending_limit", Help: "Events waiting for delivery at which new ones are refused.",
	}, func() float64 { return float64(most) }))
}

// journalStatus is what the status says of the journal.
func (a *app) journalStatus() console.Journal {
	s := a.journal.Stats()
	o := a.journal.Owner()
	return console.Journal{
		Engine: o.Engine, Owner: o.Name, Epoch: o.Epoch, Since: o.Since, LeaseSeconds: o.Left.Seconds(), DeadLetters: s.Dead, LostEvents: s.Lost, NoSpace: s.Scarce, DatabaseBytes: s.DatabaseBytes, LogBytes: s.LogBytes,
	}
}
