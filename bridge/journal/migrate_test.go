package journal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// firstVersion makes the file a process of the first version left when it was
// killed, and changes it as a test wishes.
func firstVersion(t *testing.T, changes ...string) *journal.Journal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	text, err := os.ReadFile("testdata/first.sql")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("webhook>known"))
	execute(t, path, strings.NewReplacer("{now}", strconv.FormatInt(time.Now().UnixMicro(), 10),
		"{known}", hex.EncodeToString(hash[:16])).Replace(string(text)))
	for _, change := range changes {
		execute(t, path, change)
	}
	j := open(t, options(path))
	t.Cleanup(func() { j.Close() })
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	return j
}

func read[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func same(t *testing.T, what string, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty())...); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

// doubtful lists what is in doubt, towards every side.
func doubtful(t *testing.T, j *journal.Journal) (ids []bridge.EventID) {
	t.Helper()
	for _, lane := range read[[]bridge.LaneKey](t)(j.Lanes(t.Context(), bridge.LaneKey{}, 100)) {
		for _, e := range read[[]bridge.Entry](t)(j.PendingOf(t.Context(), lane, 0, 100)) {
			if e.Doubt == nil {
				continue
			}
			if since := time.Since(e.Doubt.Since); since < 0 || since > time.Minute || len(e.Doubt.Dialogs) > 0 {
				t.Errorf("%s in doubt since %v in %v, want since now in any dialog", e.ID, e.Doubt.Since, e.Doubt.Dialogs)
			}
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// TestFirstVersion opens a journal of the first version and finds all there was.
func TestFirstVersion(t *testing.T) {
	j := firstVersion(t)
	ctx := t.Context()
	same(t, "in doubt", doubtful(t, j), []bridge.EventID{"r-1", "m-1", "m-3", "m-4"})
	if n := j.PendingCount(); n != 5 {
		t.Errorf("%d pending, want 5", n)
	}
	e := read[[]bridge.Entry](t)(j.PendingOf(ctx, bridge.LaneKey{Channel: "webhook", Thread: "t-1", Direction: bridge.ToChannel}, 0, 1))[0]
	same(t, "entry", e, bridge.Entry{
		Seq: 3, Lane: e.Lane, ID: "r-1", Kind: bridge.KindReceipt, Payload: []byte("{}"), Attempts: 2, Last: bridge.Retry,
		Accepted: time.UnixMicro(1790000002000000).UTC(), NextTry: time.UnixMicro(1790000009000000).UTC(), Doubt: e.Doubt,
	})
	dead := read[*bridge.DeadLetter](t)(j.DeadLetter(ctx, 6))
	same(t, "payload of the dead letter", string(dead.Payload), `{"a}`)

	same(t, "conversation", read[*bridge.Conversation](t)(j.Conversation(ctx, "c-1")), &bridge.Conversation{
		ID: "c-1", Channel: "webhook", Thread: "t-1", ExtConsumer: "webhook:u-1", LPConsumer: "lp-1", Dialog: "d-1", Survey: "s-1",
		Dialogs: []string{"c-1", "d-1", "s-1"}, Open: true, Announced: true, Updated: 1790000000123, Joined: "agent-1",
	})
	for dialog, want := range map[string]string{"d-1": "c-1", "s-1": "c-1", "c-0": "c-0", "c-2": "c-2", "c-3": "c-3"} {
		if c := read[*bridge.Conversation](t)(j.ConversationOfDialog(ctx, dialog)); c == nil || c.ID != want {
			t.Errorf("conversation of dialog %s: %+v, want %s", dialog, c, want)
		}
	}
	former := read[*bridge.Conversation](t)(j.Conversation(ctx, "c-0"))
	if former.Open || former.Ended.IsZero() || former.Thread != "t-1" || former.LPConsumer != "lp-1" {
		t.Errorf("the conversation before: %+v, want it ended and the thread's", former)
	}
	var ids []string
	for _, c := range read[[]bridge.Conversation](t)(j.ConversationsOf(ctx, bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}, 10)) {
		ids = append(ids, c.ID)
	}
	same(t, "conversations of the thread", ids, []string{"c-1", "c-0"})

	// One thread holds the conversation both held.
	held := read[*bridge.Conversation](t)(j.HeldBy(ctx, "lp-3"))
	if held.ID != "c-3" || held.Thread != "t-4" {
		t.Errorf("held: %+v, want c-3 by t-4", held)
	}
	var current []string
	for _, th := range read[[]bridge.Thread](t)(j.ThreadsOf(ctx, "lp-3")) {
		current = append(current, string(th.ID)+" "+th.Conversation)
	}
	same(t, "threads of the consumer", current, []string{"t-4 c-3", "t-3 "})

	same(t, "consumer of several threads", read[*bridge.ConsumerRow](t)(j.Consumer(ctx, "layer", "u-3")),
		&bridge.ConsumerRow{Channel: "layer", ID: "u-3", ExtConsumer: "layer:u-3", LPConsumer: "lp-3"})
	at := func(dialog string, sequence int64) []bridge.LedgerEntry {
		return read[[]bridge.LedgerEntry](t)(j.MessagesAt(ctx, dialog, []int64{sequence}))
	}
	same(t, "ledger", at("d-1", 5), []bridge.LedgerEntry{{Sequence: 5, Channel: "webhook", Thread: "t-1", Source: "m-0"}})
	same(t, "ledger of a survey", at("s-1", 1), []bridge.LedgerEntry{{Sequence: 1, Channel: "webhook", Thread: "t-1", Source: "m-s"}})
	same(t, "ledger of the conversation before", at("c-0", 3), []bridge.LedgerEntry{{Sequence: 3, Channel: "webhook", Thread: "t-1", Source: "m-old"}})
	same(t, "ledger of a dialog nobody knows", at("d-gone", 2), []bridge.LedgerEntry{{Sequence: 2, Source: "m-gone"}})
	for dialog, want := range map[string]int64{"d-1": 7, "c-3": 4, "c-2": -1} {
		if last := read[int64](t)(j.LastOf(ctx, dialog)); last != want {
			t.Errorf("last of %s: %d, want %d", dialog, last, want)
		}
	}
	same(t, "marks", read[[]bridge.ComposingMark](t)(j.Composing(ctx)),
		[]bridge.ComposingMark{{Thread: bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}, Conversation: "c-1"}},
		cmpopts.IgnoreFields(bridge.ComposingMark{}, "Since"))

	record := read[bridge.Record](t)(j.RecordsOf("layer").Find(ctx, "message", "k"))
	if record.ID != 3 || record.Parent != "c-3" {
		t.Errorf("record %+v", record)
	}
	if v := read[string](t)(j.Flag(ctx, "f")); v != "1" {
		t.Errorf("flag %q, want 1", v)
	}
	if seqs := read[[]int64](t)(j.Append(ctx, batch("new", "known"))); seqs[0] <= 100000 || seqs[1] != 0 {
		t.Errorf("seqs %v, want one above what was set aside and one that is known", seqs)
	}
}

// TestFirstVersionInOrder opens journals of the first version whose process
// ended in order, or did and had not looked at all that was in doubt before.
func TestFirstVersionInOrder(t *testing.T) {
	clean := "UPDATE meta SET value = 1 WHERE name = 'clean'"
	same(t, "in doubt", doubtful(t, firstVersion(t, clean)), []bridge.EventID{"m-4"})
	same(t, "in doubt from earlier", doubtful(t, firstVersion(t, clean, "INSERT INTO flags VALUES ('deliveries_in_doubt', '1')")),
		[]bridge.EventID{"r-1", "m-1", "m-3", "m-4"})
	same(t, "looked at since", doubtful(t, firstVersion(t, clean, "INSERT INTO flags VALUES ('deliveries_in_doubt', '')")),
		[]bridge.EventID{"m-4"})
	// One that was never started cut nothing off.
	j := firstVersion(t, "DELETE FROM meta", "DELETE FROM events", "DELETE FROM threads")
	same(t, "never started", doubtful(t, j), []bridge.EventID(nil))
}
