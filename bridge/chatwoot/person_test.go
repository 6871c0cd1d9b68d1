package chatwoot

import (
	"encoding/json"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// TestOverheardPersonsAreShownAndErased: what a bot was told is found by the
// conversation, for nobody else knows of it.
func TestOverheardPersonsAreShownAndErased(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		send(c, signed(accountSecret, said(t, 501, "planted words", pending)))
		var thread bridge.ThreadID
		for r, err := range bridge.EachRecord(t.Context(), core.Records(), recordTranscript, "") {
			if err != nil {
				t.Fatal(err)
			}
			thread = threadOf(r.ID)
		}
		p := &bridge.Person{Channel: name, Threads: []bridge.ThreadID{thread}}
		var keys []bridge.RecordKey
		shown := ""
		show := func(k bridge.Kept) error {
			text, err := json.Marshal(k)
			shown += string(text)
			keys = append(keys, *k.Record)
			return err
		}
		if err := c.Known(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := c.Kept(t.Context(), p, show); err != nil || !strings.Contains(shown, "planted words") {
			t.Fatalf("shown is %s, %v", shown, err)
		}
		err := c.Erase(t.Context(), p, func() error {
			for _, k := range keys {
				if err := core.Records().Delete(t.Context(), k.Kind, k.ID); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		send(c, signed(accountSecret, statusWebhook(t, statusOpen)))
		if got := core.Events(); len(got) != 0 {
			t.Errorf("the agent is told %q of what was erased", told(got))
		}
	})
}
