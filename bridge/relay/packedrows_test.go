package relay

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lpbridge/bridge"
)

var packedTexts = rapid.OneOf(
	rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{
		"16e5e7ef-d1e0-4e4c-8c0d-6a2b8d0f5b11", "16E5E7EF-d1e0-4e4c-8c0d-6a2b8d0f5b11", "16e5e7efd1e04e4c8c0d6a2b8d0f5b11",
		"webhook:" + strings.Repeat("0a", 20), "webhook:" + strings.Repeat("0A", 20), strings.Repeat("f9", 20), strings.Repeat("f9", 18),
	}),
)

// TestPackedRowsAreTheRows fills every field that rows have, those too that are added
// one day, and compares what was packed.
func TestPackedRowsAreTheRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var thread bridge.Thread
		fill(t, reflect.ValueOf(&thread).Elem())
		if diff := cmp.Diff(&thread, unpackThread(packThread(nil, &thread), thread.Key())); diff != "" {
			t.Errorf("thread (-was +is):\n%s", diff)
		}
		var c bridge.Conversation
		fill(t, reflect.ValueOf(&c).Elem())
		if rapid.Bool().Draw(t, "main") {
			c.Dialog, c.Dialogs = c.ID, []string{c.ID}
		}
		if diff := cmp.Diff(&c, unpackConversation(packConversation(nil, &c), c.ID)); diff != "" {
			t.Errorf("conversation (-was +is):\n%s", diff)
		}
	})
}

func fill(t *rapid.T, row reflect.Value) {
	for i := range row.NumField() {
		f, name := row.Field(i), row.Type().Field(i).Name
		switch v := f.Addr().Interface().(type) {
		case *time.Time:
			if n := rapid.Int64Range(-1, 1<<50).Draw(t, name); n > 0 {
				*v = time.UnixMicro(n).UTC()
			}
		case *[]string:
			*v = rapid.SliceOfN(packedTexts, 1, 3).Draw(t, name)
		case *bool:
			*v = rapid.Bool().Draw(t, name)
		case *int64:
			*v = rapid.Int64Min(0).Draw(t, name)
		default:
			f.SetString(packedTexts.Draw(t, name))
		}
	}
}

// TestKeptRowsNeverGoBack puts, drops and offers rows while only a few are kept as they
// are: what is in memory is what was put last, and an offer changes nothing.
func TestKeptRowsNeverGoBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := newKeptRows(3, packThreadKey, packThread, unpackThread)
		model := map[bridge.ThreadKey]*bridge.Thread{}
		for n := range rapid.IntRange(1, 200).Draw(t, "steps") {
			key := bridge.ThreadKey{Channel: "webhook", Thread: bridge.ThreadID(fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "thread")))}
			row := &bridge.Thread{Channel: key.Channel, ID: key.Thread, Conversation: strings.Repeat("c", n%7) + fmt.Sprint(n)}
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				rows.drop(key)
				delete(model, key)
			case 1:
				rows.put(key, row)
				model[key] = row
			case 2:
				rows.offer(key, row)
				if model[key] == nil {
					model[key] = row
				}
			default:
				if diff := cmp.Diff(model[key], rows.get(key)); diff != "" {
					t.Fatalf("%v (-want +got):\n%s", key, diff)
				}
			}
		}
	})
}

// rowsOf are the rows of a thread with ids as LivePerson gives them.
func rowsOf(i int) (bridge.Thread, bridge.Conversation) {
	id := func(kind int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", kind, i) }
	t := bridge.Thread{
		Channel: "webhook", ID: bridge.ThreadID(id(1)), Consumer: bridge.ConsumerID(id(2)),
		ExtConsumer: fmt.Sprintf("webhook:%040d", i), LPConsumer: id(3), Conversation: id(4),
	}
	return t, t.Begin(t.Conversation, time.Unix(1_800_000_000, 0).UTC())
}

// TestThreadsWrittenInBeforeOthersStayKnown has far more threads than stay as they are,
// without a journal to read them from.
func TestThreadsWrittenInBeforeOthersStayKnown(t *testing.T) {
	t.Parallel()
	const n = 2*rowsInUse + 100
	d := newDirectory(nil)
	for i := range n {
		thread, c := rowsOf(i)
		d.keep(bridge.Standing{Threads: []bridge.Thread{thread}, Conversations: []bridge.Conversation{c}})
	}
	for i := range n {
		want, wantC := rowsOf(i)
		thread, c, err := d.current(t.Context(), want.Key())
		if diff := cmp.Diff([]any{&want, &wantC}, []any{thread, c}); diff != "" || err != nil {
			t.Fatalf("thread %d: %v (-want +got):\n%s", i, err, diff)
		}
	}
}

// TestRowsOfAHundredThousandThreadsFit holds what rows take against the room there is.
func TestRowsOfAHundredThousandThreadsFit(t *testing.T) {
	t.Parallel()
	const n, head = 100_000, 6
	thread, c := rowsOf(1)
	for what, size := range map[string]int{
		"thread":       len(packThreadKey(nil, thread.Key())) + len(packThread(nil, &thread)),
		"conversation": len(packConversationKey(nil, c.ID)) + len(packConversation(nil, &c)),
	} {
		if size = n * (size + head); size > rowsPacked {
			t.Errorf("the rows of %d %ss take %d bytes, and have %d", n, what, size, rowsPacked)
		}
	}
}

func BenchmarkUnpackRows(b *testing.B) {
	thread, c := rowsOf(1)
	row, other := packThread(nil, &thread), packConversation(nil, &c)
	for b.Loop() {
		unpackThread(row, thread.Key())
		unpackConversation(other, c.ID)
	}
	b.ReportMetric(float64(len(row)), "thread-bytes")
	b.ReportMetric(float64(len(other)), "conversation-bytes")
}
