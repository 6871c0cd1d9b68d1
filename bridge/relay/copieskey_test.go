package relay_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// unkeyed is how an earlier version wrote the words of a copy.
func unkeyed(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// copiesWritten are the records of copies.
func copiesWritten(t *testing.T, j bridge.Journal) []bridge.Record {
	t.Helper()
	kept, err := j.RecordsOf("").List(t.Context(), "copy", "", bridge.Page{})
	if err != nil || len(kept) != 1 {
		t.Fatalf("%d consumers have copies, %v; want one", len(kept), err)
	}
	return kept
}

// Words such as "ok" would be found out by trying, and what an earlier version wrote
// of them is understood all the same.
func TestWordsOfACopyAreWrittenWithTheKey(t *testing.T) {
	for name, former := range map[string]bool{"as written now": false, "as an earlier version wrote it": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := rigOptions{echoWait: 35 * time.Second, quiet: true}
				r := newRig(t, o)
				r.begin("t-1")
				r.door.lead(nil)
				r.wire.fail(about(`"ok"`, inTurn(r.appliedThen(isLost), r.appliedThen(isLost))))
				r.say("t-1", "e-1", "ok")
				time.Sleep(40 * time.Second)
				c := r.conversation()
				r.echo(c, "ok", 0)
				time.Sleep(10 * time.Second)
				for _, record := range copiesWritten(t, r.journal) {
					if strings.Contains(string(record.Data), unkeyed("ok")) {
						t.Error("the words can be found out by trying")
					}
					if former {
						rewrite(t, r.journal, record, "ok")
					}
				}
				r = r.restart(o)
				r.door.lead(nil)
				r.wire.fail(about(`"ok"`, inTurn(isLost)))
				r.say("t-1", "e-2", "ok")
				time.Sleep(time.Second)
				r.echo(c, "ok", 1, 1)
				time.Sleep(20 * time.Minute)
				if texts := r.allConsumerTexts(); count(texts, "ok") != 3 || r.journal.PendingCount() != 0 {
					t.Errorf("LivePerson has %q, %d pending; want ok three times", texts, r.journal.PendingCount())
				}
				r.shutDown()
				r.sim.Close()
			})
		})
	}
}

// rewrite writes a record as an earlier version did.
func rewrite(t *testing.T, j bridge.Journal, record bridge.Record, text string) {
	t.Helper()
	var list []map[string]any
	if err := json.Unmarshal(record.Data, &list); err != nil || len(list) == 0 {
		t.Fatal(err, len(list))
	}
	for _, x := range list {
		x["words"] = unkeyed(text)
	}
	var err error
	if record.Data, err = json.Marshal(list); err != nil {
		t.Fatal(err)
	}
	if err := j.RecordsOf("").Save(t.Context(), record); err != nil {
		t.Fatal(err)
	}
}
