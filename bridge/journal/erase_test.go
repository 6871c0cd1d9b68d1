package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// crowd is a journal in which many consumers wrote long and short things at the same
// time, changed who they are, and of whom much was delivered and forgotten.
type crowd struct {
	*Journal
	t     *testing.T
	store string
	rand  *rand.Rand
}

const people = 40

func newCrowd(t *testing.T, store string) *crowd {
	t.Helper()
	j, err := Open(t.Context(), Options{
		Store: store, Logger: slog.New(slog.DiscardHandler), Retention: time.Hour, runKeys: 500, ledgerBatch: 200,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{Journal: j, t: t, store: store, rand: rand.New(rand.NewPCG(7, 7))}
	c.must(j.Start(func([]bridge.Entry) {}))
	return c
}

func (c *crowd) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// words are of a person, of any length, with their mark in every few bytes.
func (c *crowd) words(person int) string {
	mark := fmt.Sprintf("mark-of-%03d ", person)
	return strings.Repeat(mark, 1+c.rand.IntN([]int{4, 40, 900}[c.rand.IntN(3)]))
}

// live lets everybody do something.
func (c *crowd) live(round int) {
	c.t.Helper()
	var b bridge.Batch
	var lanes []bridge.LaneKey
	for _, n := range c.rand.Perm(people) {
		lane := bridge.LaneKey{Channel: "layer", Thread: bridge.ThreadID(fmt.Sprintf("mark-of-%03d thread", n))}
		consumer := bridge.ConsumerID(fmt.Sprintf("mark-of-%03d consumer", n))
		payload := fmt.Sprintf(`{"consumer":{"id":%q},"message":{"text":%q}}`, consumer, c.words(n))
		b.Entries = append(b.Entries, bridge.Entry{
			Lane: lane, ID: bridge.EventID(fmt.Sprintf("mark-of-%03d event %d", n, round)), Kind: bridge.KindMessage, Payload: []byte(payload),
		})
		lanes = append(lanes, lane)
		// Records are written again and again, longer and shorter, as served channels do.
		b.Records = append(b.Records, bridge.ChannelRecord{Channel: "layer", Record: bridge.Record{
			Kind: "message", ID: int64(1 + n + people*c.rand.IntN(8)), Parent: string(lane.Thread), Data: []byte(c.words(n)),
		}})
		b.Consumers = append(b.Consumers, bridge.ConsumerRow{
			Channel: "layer", ID: consumer, ExtConsumer: fmt.Sprintf("layer:mark-of-%03d", n), LPConsumer: fmt.Sprintf("lp mark-of-%03d", n), Profile: []byte(`{"n":"` + c.words(n) + `"}`),
		})
	}
	seqs, err := c.Append(c.t.Context(), b)
	c.must(err)
	for i, seq := range seqs {
		s := bridge.Settlement{Seq: seq, Lane: lanes[i], Final: bridge.Done, Dialog: strings.TrimSuffix(string(lanes[i].Thread), "thread") + "dialog", Sequence: int64(round), Source: b.Entries[i].ID}
		if round == 0 && i == 0 {
			s.Final, s.Dialog = bridge.Dead, ""
		}
		c.Settle(s)
	}
	c.must(c.Check(c.t.Context()))
}

// converse gives a person a conversation that is open or over.
func (c *crowd) converse(n int, open bool) {
	c.t.Helper()
	mark := fmt.Sprintf("mark-of-%03d ", n)
	c.must(c.Save(c.t.Context(), bridge.Standing{
		Threads: []bridge.Thread{{
			Channel: "layer", ID: bridge.ThreadID(mark + "thread"), Consumer: bridge.ConsumerID(mark + "consumer"),
			ExtConsumer: strings.TrimSpace("layer:" + mark), LPConsumer: strings.TrimSpace("lp " + mark), Conversation: mark + "dialog",
		}},
		Conversations: []bridge.Conversation{{
			ID: mark + "dialog", Channel: "layer", Thread: bridge.ThreadID(mark + "thread"), Dialog: mark + "dialog", Open: open,
		}},
	}))
}

// found counts how often a person's mark is in the journal's files, of PostgreSQL's in
// its rows.
func (c *crowd) found(n int) (times int) {
	c.t.Helper()
	path, files := strings.CutPrefix(c.store, "sqlite:")
	if !files {
		j, err := Open(c.t.Context(), Options{Store: c.store, Logger: slog.New(slog.DiscardHandler)})
		c.must(err)
		defer j.Close()
		for _, table := range tables {
			times += j.count(c.t, fmt.Sprintf("%s WHERE %s::text LIKE '%%mark-of-%03d%%'", table, table, n))
		}
		return times
	}
	for _, name := range []string{path, path + "-wal", path + ".lock"} {
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			c.t.Fatal(err)
		}
		times += bytes.Count(content, fmt.Appendf(nil, "mark-of-%03d", n))
	}
	return times
}

// erase erases a person with the records of theirs.
func (c *crowd) erase(n int) (bridge.Erased, error) {
	p := &bridge.Person{Channel: "layer", Consumers: []bridge.ConsumerID{bridge.ConsumerID(fmt.Sprintf("mark-of-%03d consumer", n))}}
	c.must(c.Archive().Identify(c.t.Context(), p))
	var records []bridge.RecordKey
	for id := n + 1; id <= people*8; id += people {
		records = append(records, bridge.RecordKey{Channel: "layer", Kind: "message", ID: int64(id)})
	}
	commit, err := c.Archive().Erasing(c.t.Context(), p)
	c.must(err)
	return commit(c.t.Context(), records)
}

// TestErasedPersonsLeaveNoTrace: nothing of who was erased is in the journal's
// files, whatever lay where before, and nobody else loses anything.
func TestErasedPersonsLeaveNoTrace(t *testing.T) {
	c := newCrowd(t, "sqlite:"+filepath.Join(t.TempDir(), "journal.db"))
	for round := range 30 {
		c.live(round)
		if round%10 == 9 {
			c.must(c.purger.purge(t.Context(), c.clock.shift().steady(time.Now().Add(2*time.Hour)), true))
		}
	}
	for n := range people {
		c.converse(n, false)
	}
	before := c.found(8)
	for n := range 6 {
		if c.found(n) == 0 {
			t.Fatal("nothing was written")
		}
		erased, err := c.erase(n)
		c.must(err)
		if erased.Consumers != 1 || erased.Threads != 1 || erased.Conversations != 1 || erased.Records == 0 || erased.Events == 0 || erased.Others == 0 {
			t.Errorf("erased %+v", erased)
		}
		c.must(c.Scrub(t.Context()))
		if times := c.found(n); times != 0 {
			t.Errorf("the mark of person %d is in the files %d times", n, times)
		}
	}
	after := c.count(t, "events WHERE lane LIKE '%mark-of-008%'")
	if c.found(8) == 0 || c.found(8) > before || after == 0 {
		t.Errorf("of somebody else %d events are left", after)
	}
	// Their keys are known all the same, also to the next process.
	c.must(c.Close())
	j, err := Open(t.Context(), Options{Store: c.store, Logger: slog.New(slog.DiscardHandler), Retention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: bridge.LaneKey{Channel: "layer", Thread: "another"}, ID: "mark-of-003 event 29"}}})
	if err != nil || seqs[0] != 0 {
		t.Errorf("a repeated event of somebody who was erased got the number %v, %v", seqs, err)
	}
}

// TestOpenConversationsAreNotErased: nothing is removed while something is under way.
func TestOpenConversationsAreNotErased(t *testing.T) { OnEngines(t, openConversationsAreNotErasedOn) }

func openConversationsAreNotErasedOn(t *testing.T, store string) {
	c := newCrowd(t, store)
	defer c.Close()
	c.live(1)
	c.converse(1, true)
	rows := c.count(t, "events")
	if _, err := c.erase(1); !errors.Is(err, bridge.ErrNotAtRest) {
		t.Errorf("an open conversation: %v", err)
	}
	c.converse(1, false)
	waits := bridge.LaneKey{Channel: "layer", Thread: "mark-of-001 thread", Direction: bridge.ToChannel}
	for _, begun := range []bool{false, true} {
		seqs, err := c.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: waits, Begun: begun, Payload: []byte("{}")}}})
		c.must(err)
		if _, err := c.erase(1); !errors.Is(err, bridge.ErrNotAtRest) {
			t.Errorf("an event that waits, begun %t: %v", begun, err)
		}
		if n := c.count(t, "events"); n < rows {
			t.Errorf("%d of %d events are left", n, rows)
		}
		c.Settle(bridge.Settlement{Seq: seqs[0], Lane: waits, Final: bridge.Done})
		c.must(c.Check(t.Context()))
	}
	if _, err := c.erase(1); err != nil {
		t.Errorf("at rest: %v", err)
	}
}

// TestUnfinishedScrubGoesOn: a process that dies between an erasure and its scrub
// leaves the rest to the next.
func TestUnfinishedScrubGoesOn(t *testing.T) { OnEngines(t, unfinishedScrubGoesOnOn) }

func unfinishedScrubGoesOnOn(t *testing.T, store string) {
	c := newCrowd(t, store)
	c.live(1)
	c.converse(1, false)
	if _, err := c.erase(1); err != nil {
		t.Fatal(err)
	}
	c.must(c.Close())
	j, err := Open(t.Context(), Options{Store: c.store, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if unfinished, _, err := j.db.meta(t.Context(), metaScrub); unfinished != 1 || err != nil {
		t.Fatalf("the scrub is not owed: %d, %v", unfinished, err)
	}
	c.must(j.Start(func([]bridge.Entry) {}))
	for {
		unfinished, _, err := j.db.meta(t.Context(), metaScrub)
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
		if unfinished == 0 {
			break
		}
	}
	c.must(j.Close())
	if times := c.found(1); times != 0 {
		t.Errorf("the mark is in the files %d times", times)
	}
}

// TestWhoseAThreadIs: a thread that is named is not taken from another consumer,
// and one that has no row is found by the events in it.
func TestWhoseAThreadIs(t *testing.T) { OnEngines(t, whoseAThreadIsOn) }

func whoseAThreadIsOn(t *testing.T, store string) {
	c := newCrowd(t, store)
	defer c.Close()
	c.live(1)
	c.converse(1, false)
	another := &bridge.Person{Channel: "layer", Consumers: []bridge.ConsumerID{"mark-of-002 consumer"}, Threads: []bridge.ThreadID{"mark-of-001 thread"}}
	if err := c.Archive().Identify(t.Context(), another); !errors.Is(err, bridge.ErrAnothers) {
		t.Errorf("another's thread: %v", err)
	}
	stray := &bridge.Person{Channel: "layer", Consumers: []bridge.ConsumerID{"mark-of-002 consumer"}}
	if err := c.Archive().Identify(t.Context(), stray); err != nil || len(stray.Threads) != 1 || stray.Threads[0] != "mark-of-002 thread" {
		t.Errorf("a thread without a row: %v, %v", stray.Threads, err)
	}
	owner := &bridge.Person{Channel: "layer", Threads: []bridge.ThreadID{"mark-of-001 thread"}}
	if err := c.Archive().Identify(t.Context(), owner); err != nil || len(owner.Consumers) != 1 || owner.LPConsumers[0] != "lp mark-of-001" {
		t.Errorf("the owner of a thread: %+v, %v", owner, err)
	}
}
