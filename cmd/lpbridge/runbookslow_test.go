package main

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/connector/lpsim"
)

// changeJournal changes the database while no bridge has it.
func (s *stage) changeJournal(statement string, args ...any) {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.journalFile())
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	changed, err := db.ExecContext(s.t.Context(), statement, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		s.t.Fatalf("%s changed %d rows, %v", statement, n, err)
	}
}

// disturb has another program write to the database for a time, as one does that copies
// it or looks into it, and does something meanwhile.
func (s *stage) disturb(length time.Duration, do func()) {
	s.t.Helper()
	db, err := sql.Open("sqlite", s.journalFile())
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	await(s.t, "the lock of the database", func() bool {
		_, err := conn.ExecContext(s.t.Context(), "BEGIN IMMEDIATE")
		return err == nil
	})
	released := make(chan error, 1)
	time.AfterFunc(length, func() {
		_, err := conn.ExecContext(context.Background(), "ROLLBACK")
		released <- err
	})
	do()
	if err := <-released; err != nil {
		s.t.Fatal(err)
	}
}

func TestRunbookJournalSlow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	m := watched(t, p)
	m.quiet("LpbridgeJournalSlow")
	body := message("a", "a1", "hello")
	await(t, "that LpbridgeJournalSlow fires", func() bool {
		s.disturb(800*time.Millisecond, func() { do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body) })
		m.scrape()
		return m.firing("LpbridgeJournalSlow", time.Now())
	})
	s.post(p, body)
	p.terminate()
	moved := filepath.Join(t.TempDir(), "lpbridge.db")
	if err := os.Rename(s.journalFile(), moved); err != nil {
		t.Fatal(err)
	}
	s.settings["LPBRIDGE_STORE"] = "sqlite:" + moved
	p = s.run(nil)
	m.follow(p)
	s.post(p, message("a", "a2", "again"))
	s.awaitTexts("a", "hello", "again")
	m.ends("LpbridgeJournalSlow")
	p.terminate()
}

func TestRunbookNotificationsSlow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	m := watched(t, p)
	m.quiet("LpbridgeNotificationsSlow")
	conversation := s.conversations("a")[0].ConversationID
	await(t, "that LpbridgeNotificationsSlow fires", func() bool {
		s.disturb(1500*time.Millisecond, func() {
			if _, err := s.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "good day"}); err != nil {
				t.Error(err)
			}
		})
		m.scrape()
		return m.firing("LpbridgeNotificationsSlow", time.Now())
	})
	if !m.firing("LpbridgeJournalSlow", time.Now()) {
		t.Error("LpbridgeJournalSlow does not say why")
	}
	await(t, "what the agent said", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "good day" })
		return ok
	})
	m.ends("LpbridgeNotificationsSlow")
	p.terminate()
}

// TestRunbookDeliverySlow tells the two causes of its entry apart.
func TestRunbookDeliverySlow(t *testing.T) {
	t.Parallel()
	const duration = `histogram_quantile(0.95, sum by (le) (rate(lpbridge_delivery_duration_seconds_bucket{direction="to_liveperson"}[5m]))) > 2.5`
	for cause, tc := range map[string]struct {
		begin, end func(s *stage)
		slow       bool
		throttled  bool
	}{
		"the far side is slow": {begin: func(s *stage) { s.wire.hold("two") }, end: func(s *stage) { s.wire.release() }, slow: true},
		"the far side throttles": {begin: func(s *stage) {
			if err := s.sim.SetFaults(lpsim.Faults{ThrottleRate: lpsim.Everywhere(1), RetryAfterSeconds: 2}); err != nil {
				s.t.Error(err)
			}
		}, end: func(s *stage) {
			if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
				s.t.Error(err)
			}
		}, throttled: true},
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			p := s.run(nil)
			s.post(p, message("a", "a1", "one"))
			s.awaitTexts("a", "one")
			m := watched(t, p)
			await(t, "that the first is counted", func() bool {
				return m.value("lpbridge_delivery_lag_seconds_count", "channel", "webhook", "direction", "to_liveperson") == 1
			})
			m.quiet("LpbridgeDeliverySlow")
			tc.begin(s)
			s.post(p, message("a", "a2", "two"))
			await(t, "that it waits", func() bool {
				return m.value("lpbridge_far_side_oldest_waiting_seconds", "far_side", "liveperson") > 5.2
			})
			tc.end(s)
			s.awaitTexts("a", "one", "two")
			m.fires("LpbridgeDeliverySlow")
			if slow := len(evaluate(t, duration, m.taken, time.Now())) > 0; slow != tc.slow {
				t.Errorf("that deliveries take long is %t", slow)
			}
			if throttled := m.value("lpbridge_deliveries_total", "direction", "to_liveperson", "outcome", "throttled") > 0; throttled != tc.throttled {
				t.Errorf("that LivePerson throttles is %t", throttled)
			}
			s.post(p, message("a", "a3", "three"))
			s.awaitTexts("a", "one", "two", "three")
			m.ends("LpbridgeDeliverySlow")
			p.terminate()
		})
	}
}

// TestRunbookPollStale: a channel that does not answer, from the start of the bridge or
// later, and what was written there meanwhile.
func TestRunbookPollStale(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"from the start": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &everyChannel{stage: newStage(t)}
			live := livechataitest.New()
			live.Open(livechataitest.Conversation{ID: "chat_1", Agent: "agent-1", IsAgent: true, Contact: livechataitest.Contact{ID: "contact_1"}})
			var asked atomic.Int32
			system := x.behind(live)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				system.ServeHTTP(w, r)
			}))
			t.Cleanup(server.Close)
			settings := map[string]string{
				"LPBRIDGE_CHANNELS": "livechatai", "LIVECHATAI_API_KEY": livechataitest.Key, "LIVECHATAI_AGENT_IDS": "agent-1", "LIVECHATAI_BASE_URL": server.URL,
				"LIVECHATAI_POLL_BUSY": "1s", "LIVECHATAI_POLL_IDLE": "1s", "LIVECHATAI_IMPORT": "true", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "",
			}
			fail := func() { x.failing.Store(http.StatusBadGateway) }
			if away {
				fail()
			}
			x.p = x.run(settings)
			m := watched(t, x.p)
			fail()
			live.Say("chat_1", "written meanwhile")
			polled := func() float64 { return m.value("lpbridge_channel_polled_timestamp_seconds", "channel", "livechatai") }
			before, asks := 0.0, asked.Load()
			await(t, "that it is asked in vain", func() bool {
				if now := polled(); now != before {
					before, asks = now, asked.Load()
				}
				return asked.Load() >= asks+3
			})
			m.quiet("LpbridgePollStale")
			m.scrape()
			if !m.firing("LpbridgePollStale", time.Now().Add(2*time.Minute)) {
				t.Error("two minutes of that, and LpbridgePollStale does not fire")
			}
			if got := outcome(t, x.with(settings), "check"); got.code != exitFailed || !strings.Contains(got.stdout, "FAIL  livechatai ") {
				t.Errorf("check: exit code %d: %s", got.code, got.stdout)
			}
			x.failing.Store(0)
			await(t, "what was written meanwhile", func() bool { return x.conversationWith("written meanwhile") != "" })
			await(t, "that it is asked again", func() bool { return polled() > before })
			m.ends("LpbridgePollStale")
			x.p.terminate()
		})
	}
}
