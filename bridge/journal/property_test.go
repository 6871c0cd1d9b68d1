package journal_test

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// pair is the journal under test and the one in memory it is compared with.
type pair struct {
	t      *rapid.T
	opts   journal.Options
	disk   *journal.Journal
	memory *bridgetest.Journal
	// diskHook and memoryHook are the seqs each commit hook was given.
	diskHook, memoryHook []int64
}

func (p *pair) start() {
	hook := func(seqs *[]int64) func([]bridge.Entry) {
		return func(entries []bridge.Entry) {
			for _, e := range entries {
				*seqs = append(*seqs, e.Seq)
			}
		}
	}
	p.must(p.disk.Start(hook(&p.diskHook)))
	p.must(p.memory.Start(hook(&p.memoryHook)))
}

func (p *pair) must(err error) {
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) reopen() {
	p.must(p.disk.Close())
	p.must(p.memory.Close())
	disk, err := journal.Open(p.t.Context(), p.opts)
	p.must(err)
	p.disk, p.memory = disk, p.memory.Reopen()
	p.start()
}

// both calls both journals and compares the answers. Times the journals take
// from the clock differ.
func both[T any](p *pair, what string, call func(bridge.Journal) (T, error)) {
	onDisk, err := call(p.disk)
	inMemory, want := call(p.memory)
	for _, known := range []error{bridge.ErrRecordTaken, bridge.ErrNoRecord, bridge.ErrBusy, bridge.ErrStorage, nil} {
		if errors.Is(err, known) != errors.Is(want, known) {
			p.t.Fatalf("%s: error %v, in memory %v", what, err, want)
		}
	}
	d := cmp.Diff(inMemory, onDisk, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(bridge.DeadLetter{}, "Died"),
		cmpopts.IgnoreFields(bridge.Unclaimed{}, "ID"),
		cmp.Comparer(func(a, b time.Time) bool { return clockless(a).Equal(clockless(b)) }))
	if d != "" {
		p.t.Fatalf("%s: (-memory +disk)\n%s", what, d)
	}
}

// clockless drops times that a journal took from the clock: those of the tests
// are of 2001.
func clockless(at time.Time) time.Time {
	if at.Year() > 2001 {
		return time.Time{}
	}
	return at
}

// call is both for what answers with an error only.
func call(p *pair, what string, f func(bridge.Journal) error) {
	both(p, what, func(j bridge.Journal) (struct{}, error) { return struct{}{}, f(j) })
}

var (
	channels = rapid.SampledFrom([]string{"webhook", "layer"})
	threads  = rapid.SampledFrom([]bridge.ThreadID{"t-1", "t-2", "t<3>"})
	dialogs  = rapid.SampledFrom([]string{"", "d-1", "d-2"})
	keys     = rapid.SampledFrom([]string{"k-1", "k-2", "k-3", ""})
	kinds    = rapid.SampledFrom([]string{"message", "contact"})
	lanes    = rapid.Custom(func(t *rapid.T) bridge.LaneKey {
		return bridge.LaneKey{
			Channel: channels.Draw(t, "channel"), Thread: threads.Draw(t, "thread"),
			Direction: rapid.SampledFrom([]bridge.Direction{bridge.ToLivePerson, bridge.ToChannel}).Draw(t, "direction"),
		}
	})
	times = rapid.Custom(func(t *rapid.T) time.Time {
		n := rapid.IntRange(0, 1000).Draw(t, "seconds")
		if n == 0 {
			return time.Time{}
		}
		return time.Date(2001, 1, 1, 0, 0, n, 0, time.UTC)
	})
	entries = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bridge.Entry {
		return bridge.Entry{
			Lane: lanes.Draw(t, "lane"), ID: bridge.EventID(fmt.Sprint("m-", rapid.IntRange(0, 40).Draw(t, "id"))),
			Kind: bridge.KindMessage, Payload: rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "payload"),
			Accepted: times.Draw(t, "accepted"), NextTry: times.Draw(t, "next"), Begun: rapid.Bool().Draw(t, "begun"),
		}
	}), 0, 4)
	records = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) bridge.ChannelRecord {
		return bridge.ChannelRecord{Channel: channels.Draw(t, "channel"), Record: bridge.Record{
			Kind: kinds.Draw(t, "kind"), ID: rapid.Int64Range(1, 6).Draw(t, "id"), Parent: dialogs.Draw(t, "parent"),
			Keys: rapid.SliceOfN(keys, 0, 2).Draw(t, "keys"), Data: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "data"),
			Time: times.Draw(t, "time"),
		}}
	}), 0, 3)
	doubts = rapid.Custom(func(t *rapid.T) *bridge.Doubt {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return &bridge.Doubt{Since: times.Draw(t, "since"), Dialogs: rapid.SliceOfN(dialogs, 0, 2).Draw(t, "dialogs")}
	})
	conversationIDs = rapid.SampledFrom([]string{"c-1", "c-2", "c-3"})
	consumerIDs     = rapid.SampledFrom([]string{"", "lp-1", "lp-2"})
	standings       = rapid.Custom(func(t *rapid.T) bridge.Standing {
		return bridge.Standing{
			Threads: rapid.SliceOfN(threadRows, 0, 2).Draw(t, "threads"), Conversations: rapid.SliceOfN(conversations, 0, 2).Draw(t, "conversations"),
		}
	})
	conversations = rapid.Custom(func(t *rapid.T) bridge.Conversation {
		return bridge.Conversation{
			ID: conversationIDs.Draw(t, "id"), Channel: channels.Draw(t, "channel"), Thread: threads.Draw(t, "thread"),
			LPConsumer: consumerIDs.Draw(t, "lp"), Dialog: dialogs.Draw(t, "dialog"), Survey: dialogs.Draw(t, "survey"),
			Dialogs: rapid.SliceOfN(dialogs, 0, 2).Draw(t, "dialogs"), Open: rapid.Bool().Draw(t, "open"),
			Began: times.Draw(t, "began"), Ended: times.Draw(t, "ended"), Updated: rapid.Int64().Draw(t, "updated"),
		}
	})
	consumers = rapid.Custom(func(t *rapid.T) bridge.ConsumerRow {
		return bridge.ConsumerRow{
			Channel: channels.Draw(t, "channel"), ID: bridge.ConsumerID(keys.Draw(t, "id")), ExtConsumer: keys.Draw(t, "ext"),
			LPConsumer: consumerIDs.Draw(t, "lp"), Profile: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "profile"),
		}
	})
	unclaimed = rapid.Custom(func(t *rapid.T) bridge.Unclaimed {
		return bridge.Unclaimed{
			Conversation: conversationIDs.Draw(t, "conversation"), Dialog: dialogs.Draw(t, "dialog"),
			Sequence: rapid.Int64Range(0, 9).Draw(t, "sequence"),
			Body:     rapid.SliceOfN(rapid.Byte(), 0, 2).Draw(t, "body"),
		}
	})
	marks = rapid.Custom(func(t *rapid.T) bridge.ComposingMark {
		return bridge.ComposingMark{
			Direction:    rapid.SampledFrom([]bridge.Direction{bridge.ToLivePerson, bridge.ToChannel}).Draw(t, "direction"),
			Thread:       bridge.ThreadKey{Channel: channels.Draw(t, "channel"), Thread: threads.Draw(t, "thread")},
			Conversation: conversationIDs.Draw(t, "conversation"),
		}
	})
	outcomes = rapid.SampledFrom([]bridge.Outcome{
		bridge.Delivered, bridge.Throttled, bridge.Unauthorized, bridge.Closed, bridge.Retry, bridge.Invalid, bridge.Unknown,
	})
	settlements = rapid.Custom(func(t *rapid.T) bridge.Settlement {
		return bridge.Settlement{
			Seq: rapid.Int64Range(1, 30).Draw(t, "seq"), Lane: lanes.Draw(t, "lane"), Outcome: outcomes.Draw(t, "outcome"),
			Final:    rapid.SampledFrom([]bridge.Disposition{bridge.Pending, bridge.Done, bridge.Dead}).Draw(t, "final"),
			Attempts: rapid.IntRange(1, 5).Draw(t, "attempts"), NextTry: times.Draw(t, "next"),
			Dialog: dialogs.Draw(t, "dialog"), Sequence: rapid.Int64Range(0, 9).Draw(t, "sequence"),
			Source: rapid.SampledFrom([]bridge.EventID{"", "s-1", "s-2"}).Draw(t, "source"),
			Follow: entries.Draw(t, "follow"), Reason: dialogs.Draw(t, "reason"), Doubt: doubts.Draw(t, "doubt"),
			Next: rapid.Int64Range(0, 30).Draw(t, "next entry"),
		}
	})
	threadRows = rapid.Custom(func(t *rapid.T) bridge.Thread {
		return bridge.Thread{
			Channel: channels.Draw(t, "channel"), ID: threads.Draw(t, "thread"), Consumer: "u", ExtConsumer: "e",
			LPConsumer: consumerIDs.Draw(t, "lp"), Conversation: rapid.SampledFrom([]string{"", "c-1", "c-2"}).Draw(t, "conversation"),
		}
	})
)

// TestAgainstMemory runs the same calls on both journals and compares all that
// can be seen after each.
func TestAgainstMemory(t *testing.T) {
	still := func(*pair) func(*rapid.T) { return nil }
	if pgcluster.Alone() {
		t.Parallel()
	} else {
		t.Run("sqlite", func(t *testing.T) { againstMemory(t, files(t), still) })
	}
	t.Run("postgres", func(t *testing.T) { againstMemory(t, func() string { return pgcluster.Schema(t) }, still) })
}

// files makes the names of new files.
func files(t *testing.T) func() string {
	dir, n := memoryDir(t), 0
	return func() string {
		n++
		return "sqlite:" + filepath.Join(dir, fmt.Sprint(n), "journal.db")
	}
}

// againstMemory leads lives on stores. Move, if it returns something, is done now and then.
func againstMemory(t *testing.T, store func() string, move func(*pair) func(*rapid.T)) {
	rapid.Check(t, func(t *rapid.T) {
		p := &pair{t: t, opts: on(store()), memory: bridgetest.NewJournal()}
		if rapid.Bool().Draw(t, "keep") {
			p.opts.Retention = time.Hour
		}
		var err error
		if p.disk, err = journal.Open(t.Context(), p.opts); err != nil {
			t.Fatal(err)
		}
		defer func() {
			p.must(p.disk.Close())
			p.must(p.memory.Close())
		}()
		p.start()
		actions := map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				b := bridge.Batch{
					Entries: entries.Draw(t, "entries"), Records: records.Draw(t, "records"),
					Consumers: rapid.SliceOfN(consumers, 0, 2).Draw(t, "consumers"),
					Unclaimed: rapid.SliceOfN(unclaimed, 0, 2).Draw(t, "unclaimed"),
				}
				both(p, "append", func(j bridge.Journal) ([]int64, error) { return j.Append(t.Context(), b) })
			},
			"settle": func(t *rapid.T) {
				for _, s := range rapid.SliceOfN(settlements, 1, 4).Draw(t, "settlements") {
					p.disk.Settle(s)
					p.memory.Settle(s)
				}
			},
			"save": func(t *rapid.T) {
				s := standings.Draw(t, "standing")
				call(p, "save", func(j bridge.Journal) error { return j.Save(t.Context(), s) })
			},
			"begin": func(t *rapid.T) {
				seq := rapid.Int64Range(1, 30).Draw(t, "seq")
				p.disk.Begin(seq, func(error) {})
				p.memory.Begin(seq, func(error) {})
			},
			"composing": func(t *rapid.T) {
				m := marks.Draw(t, "mark")
				call(p, "composing", func(j bridge.Journal) error { return j.SetComposing(t.Context(), m) })
			},
			"clear composing": func(t *rapid.T) {
				m := marks.Draw(t, "mark")
				p.disk.ClearComposing(m)
				p.memory.ClearComposing(m)
			},
			"drop unclaimed": func(t *rapid.T) { p.drop(conversationIDs.Draw(t, "conversation")) },
			"dead letter": func(t *rapid.T) {
				seq := rapid.Int64Range(1, 30).Draw(t, "seq")
				do := rapid.SampledFrom([]string{"revive", "discard"}).Draw(t, "do")
				both(p, do, func(j bridge.Journal) (bool, error) {
					if do == "revive" {
						return j.Revive(t.Context(), seq)
					}
					return j.Discard(t.Context(), seq)
				})
			},
			"set flag": func(t *rapid.T) {
				name, value := keys.Draw(t, "name"), dialogs.Draw(t, "value")
				call(p, "set flag", func(j bridge.Journal) error { return j.SetFlag(t.Context(), name, value) })
			},
			"number": func(t *rapid.T) {
				channel, kind := channels.Draw(t, "channel"), kinds.Draw(t, "kind")
				both(p, "number", func(j bridge.Journal) (int64, error) { return j.RecordsOf(channel).NextID(t.Context(), kind) })
			},
			"delete records": func(t *rapid.T) {
				channel, kind := channels.Draw(t, "channel"), kinds.Draw(t, "kind")
				ids := rapid.SliceOfN(rapid.Int64Range(1, 6), 0, 3).Draw(t, "ids")
				call(p, "delete", func(j bridge.Journal) error { return j.RecordsOf(channel).Delete(t.Context(), kind, ids...) })
			},
			"reopen": func(t *rapid.T) { p.reopen() },
			"":       func(t *rapid.T) { p.compare() },
		}
		if moves := move(p); moves != nil {
			actions["move"] = moves
		}
		t.Repeat(actions)
	})
}

// drop removes what is unclaimed of a conversation. The journals number it each
// in their own way.
func (p *pair) drop(conversation string) {
	call(p, "drop unclaimed", func(j bridge.Journal) error {
		list, err := j.UnclaimedOf(p.t.Context(), conversation)
		var ids []int64
		for _, u := range list {
			ids = append(ids, u.ID)
		}
		return errors.Join(err, j.DropUnclaimed(p.t.Context(), ids...))
	})
}

// compare compares all that can be seen.
func (p *pair) compare() {
	ctx := p.t.Context()
	// What nobody waits for is committed by now.
	call(p, "check", func(j bridge.Journal) error { return j.Check(ctx) })
	both(p, "pending count", func(j bridge.Journal) (int64, error) { return j.PendingCount(), nil })
	both(p, "lanes", func(j bridge.Journal) (map[bridge.LaneKey]bool, error) {
		list, err := j.Lanes(ctx, bridge.LaneKey{}, 100)
		set := map[bridge.LaneKey]bool{}
		for _, lane := range list {
			set[lane] = true
		}
		return set, err
	})
	all, err := p.memory.Lanes(ctx, bridge.LaneKey{}, 100)
	p.must(err)
	for _, lane := range all {
		both(p, "pending", func(j bridge.Journal) ([]bridge.Entry, error) { return j.PendingOf(ctx, lane, 0, 1000) })
	}
	both(p, "dead letters", func(j bridge.Journal) ([]bridge.DeadLetter, error) { return j.DeadLetters(ctx, 0, 1000) })
	p.compareStanding()
	for _, key := range []string{"k-1", "k-2", "k-3", ""} {
		both(p, "flag", func(j bridge.Journal) (string, error) { return j.Flag(ctx, key) })
		both(p, "find", func(j bridge.Journal) (bridge.Record, error) { return j.RecordsOf("layer").Find(ctx, "message", key) })
	}
	for _, parent := range []string{"", "d-1", "d-2"} {
		both(p, "list", func(j bridge.Journal) ([]bridge.Record, error) {
			return j.RecordsOf("layer").List(ctx, "message", parent, bridge.Page{Before: math.MaxInt64, Newest: true})
		})
	}
	if !slices.Equal(p.diskHook, p.memoryHook) || !slices.IsSorted(p.diskHook) {
		p.t.Fatalf("hook: %v, in memory %v", p.diskHook, p.memoryHook)
	}
}

// compareStanding compares threads, conversations and what belongs to them.
func (p *pair) compareStanding() {
	ctx := p.t.Context()
	for _, id := range []string{"", "lp-1", "lp-2"} {
		both(p, "threads of "+id, func(j bridge.Journal) ([]bridge.Thread, error) { return j.ThreadsOf(ctx, id) })
		both(p, "held by "+id, func(j bridge.Journal) (*bridge.Conversation, error) { return j.HeldBy(ctx, id) })
	}
	for _, id := range []string{"c-1", "c-2", "c-3"} {
		both(p, "by id", func(j bridge.Journal) (*bridge.Conversation, error) { return j.Conversation(ctx, id) })
		both(p, "unclaimed of "+id, func(j bridge.Journal) ([]bridge.Unclaimed, error) { return j.UnclaimedOf(ctx, id) })
	}
	for _, dialog := range []string{"d-1", "d-2"} {
		both(p, "of dialog", func(j bridge.Journal) (*bridge.Conversation, error) { return j.ConversationOfDialog(ctx, dialog) })
		both(p, "last of", func(j bridge.Journal) (int64, error) { return j.LastOf(ctx, dialog) })
		both(p, "last of thread", func(j bridge.Journal) (int64, error) {
			return j.LastOfThread(ctx, dialog, bridge.ThreadKey{Channel: "webhook", Thread: "t-1"})
		})
		both(p, "ledger", func(j bridge.Journal) ([]bridge.LedgerEntry, error) {
			return j.MessagesAt(ctx, dialog, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
		})
	}
	for _, channel := range []string{"webhook", "layer"} {
		for _, thread := range []bridge.ThreadID{"t-1", "t-2", "t<3>"} {
			k := bridge.ThreadKey{Channel: channel, Thread: thread}
			both(p, "conversations of", func(j bridge.Journal) ([]bridge.Conversation, error) { return j.ConversationsOf(ctx, k, 2) })
		}
		for _, id := range []bridge.ConsumerID{"k-1", "k-2", ""} {
			both(p, "consumer", func(j bridge.Journal) (*bridge.ConsumerRow, error) { return j.Consumer(ctx, channel, id) })
		}
	}
	both(p, "all unclaimed", func(j bridge.Journal) ([]bridge.Unclaimed, error) { return j.AllUnclaimed(ctx, 0, 1000) })
	both(p, "marks", func(j bridge.Journal) ([]bridge.ComposingMark, error) { return j.Composing(ctx) })
}
