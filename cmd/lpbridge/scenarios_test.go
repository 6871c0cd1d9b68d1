package main

import (
	"net/http/httptest"
	"testing"

	"lpbridge/connector/lpsim/scenario"
)

// TestScenarios: lpbridge passes the acceptance test that it offers to other connectors. Those that take long are
// played with the published clients.
func TestScenarios(t *testing.T) {
	for _, name := range []string{
		"applied-errors", "channel-answer-lost", "channel-fails", "channel-gone", "comes-back", "greeting", "late-notifications", "lost-answers",
		"masked-echo", "survey", "typing", "unknown-conversation",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play, err := scenario.Load(name)
			if err != nil {
				t.Fatal(err)
			}
			s := newStage(t)
			const token = "between-channel-and-bridge"
			options := scenario.Options{Connector: s.front + "/channels/webhook", Token: token, Notifications: s.front + "/webhooks/liveperson"}
			runner := scenario.NewRunner(s.sim, options)
			channel := httptest.NewServer(runner)
			defer channel.Close()
			p := s.run(map[string]string{"WEBHOOK_SECRET": "", "WEBHOOK_TOKEN": token, "WEBHOOK_URL": channel.URL, "LPBRIDGE_ECHO_WAIT": ""})
			report, err := runner.Run(t.Context(), play)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range report.Wrong {
				t.Error(c)
			}
			p.terminate()
		})
	}
}
