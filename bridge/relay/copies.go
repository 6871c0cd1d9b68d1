package relay

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// copyRecords is the kind of records that remember of whom LivePerson may have a
// message twice. The key is the consumer's id at LivePerson.
const copyRecords = "copy"

// copiesKept is how many copies of one consumer's messages are known.
const copiesKept = 32

// copies remember which messages were sent again because no echo came, or given up:
// LivePerson may have each once more. The echo of a copy must not be taken for that of the
// message behind it, which would be lost: neither for one in other words, nor for
// one in the same.
type copies struct {
	records bridge.Records
	// key is the installation's: without it nobody finds out the words of a message
	// by trying such as "yes".
	key func() []byte
	log *slog.Logger
	// changing changes the copies of one consumer at a time.
	changing mutexes
}

// copied is one sending of a message that may have arrived before.
type copied struct {
	Event bridge.EventID `json:"event"`
	// Words tell the words of a message from others (keyed hash); a file has none.
	Words string `json:"words"`
	// Doubted is since when the sending before was in doubt, and Sent when this one
	// began.
	Doubted time.Time `json:"doubted"`
	Sent    time.Time `json:"sent"`
	// Dialog and Sequence are where it is known to lie, or where a later copy of
	// the message does. They are empty as long as nobody knows.
	Dialog   string `json:"dialog,omitempty"`
	Sequence int64  `json:"sequence,omitempty"`
}

// copiesOf are those of one consumer.
type copiesOf struct {
	record bridge.Record
	list   []copied
	// unnamed says that there may be others, of which an earlier version did not
	// write more down.
	unnamed bool
}

// wording tells the words of a message from others, without telling them.
type wording struct{ keyed, former string }

// is reports whether these are the words that were written down, also by a version
// that used no key.
func (w wording) is(written string) bool { return written == w.keyed || written == w.former }

// wordsOf tells the words of a message from others.
func (c *copies) wordsOf(text string) wording {
	mac := hmac.New(sha256.New, c.key())
	mac.Write([]byte("words of a copy:" + text))
	former := sha256.Sum256([]byte(text))
	return wording{keyed: hex.EncodeToString(mac.Sum(nil)[:12]), former: hex.EncodeToString(former[:12])}
}

// of are the copies of a consumer's messages, nil when there are none. They are
// kept as long as history is: LivePerson repeats notifications for days.
func (c *copies) of(ctx context.Context, lpConsumer string) (*copiesOf, error) {
	record, err := c.records.Find(ctx, copyRecords, lpConsumer)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := &copiesOf{record: record, unnamed: len(record.Data) == 0}
	if all.unnamed {
		return all, nil
	}
	if err := json.Unmarshal(record.Data, &all.list); err != nil {
		return nil, fmt.Errorf("read the copies of a consumer's messages: %w", err)
	}
	return all, nil
}

// awaited reports whether there is a copy of which nobody knows whether and where
// it lies.
func (c *copiesOf) awaited() bool {
	return c != nil && (c.unnamed || slices.ContainsFunc(c.list, func(x copied) bool { return x.Dialog == "" }))
}

// at is the message one of whose copies is known to lie at a position, if there is
// one.
func (c *copiesOf) at(dialog string, sequence int64) (of bridge.EventID) {
	if c == nil {
		return ""
	}
	for _, x := range c.list {
		if x.Dialog == dialog && x.Sequence == sequence {
			of = x.Event
		}
	}
	return of
}

// another reports whether something in these words may be a copy of another message
// than those.
func (c *copiesOf) another(than []bridge.EventID, words wording) bool {
	return c != nil && slices.ContainsFunc(c.list, func(x copied) bool {
		return x.Dialog == "" && words.is(x.Words) && !slices.Contains(than, x.Event)
	})
}

// mayLie reports whether the sending of a message before the one whose position is
// known may lie at a position: one in these words, or in any where they were changed.
func (c *copiesOf) mayLie(at sent, same bool, words wording) bool {
	if c == nil {
		return false
	}
	return c.unnamed || len(c.list) >= copiesKept || slices.ContainsFunc(c.list, func(x copied) bool {
		return (!same || words.is(x.Words)) && (x.Dialog != at.dialog || x.Sequence > at.sequence)
	})
}

// change changes the copies of a consumer's messages.
func (c *copies) change(ctx context.Context, lpConsumer string, change func(list []copied) []copied) error {
	release, err := c.changing.lock(ctx, lpConsumer)
	if err != nil {
		return err
	}
	defer release()
	all, err := c.of(ctx, lpConsumer)
	if err != nil {
		return err
	}
	if all == nil {
		all = &copiesOf{record: bridge.Record{Kind: copyRecords, Keys: []string{lpConsumer}}}
	}
	list := change(slices.Clone(all.list))
	if slices.Equal(list, all.list) {
		return nil
	}
	if all.record.ID == 0 {
		if all.record.ID, err = c.records.NextID(ctx, copyRecords); err != nil {
			return err
		}
	}
	if all.record.Data, err = json.Marshal(list[max(0, len(list)-copiesKept):]); err != nil {
		return err
	}
	return c.records.Save(ctx, all.record)
}

// expect writes down that a message is sent once more, before it is.
func (c *copies) expect(ctx context.Context, lpConsumer string, copy copied) error {
	return c.change(ctx, lpConsumer, func(list []copied) []copied { return append(list, copy) })
}

// answered notes where the last copy of a message lies.
func (c *copies) answered(ctx context.Context, lpConsumer string, event bridge.EventID, at sent) {
	c.lies(ctx, lpConsumer, event, at, func(*copied) bool { return true })
}

// echoed notes where a copy of a message lies, which LivePerson took at a time by
// its own clock. Two sendings are further apart than clocks are.
func (c *copies) echoed(ctx context.Context, lpConsumer string, event bridge.EventID, at sent, taken time.Time) {
	c.lies(ctx, lpConsumer, event, at, func(x *copied) bool {
		return !taken.Before(x.Doubted.Add(x.Sent.Sub(x.Doubted) / 2))
	})
}

// lies notes where the last of some copies of a message lies. The others lie before
// it, where no later message of its thread can.
func (c *copies) lies(ctx context.Context, lpConsumer string, event bridge.EventID, at sent, these func(*copied) bool) {
	err := c.change(ctx, lpConsumer, func(list []copied) []copied {
		for i := range list {
			if x := &list[i]; x.Event == event && x.Dialog == "" && these(x) {
				x.Dialog, x.Sequence = at.dialog, at.sequence
			}
		}
		return list
	})
	if err != nil {
		c.log.Warn("the journal did not remember where a message that was sent again lies", "event", string(event), "error", err)
	}
}

// found notes that one in these words lies at a position, if one is awaited.
func (c *copies) found(ctx context.Context, lpConsumer string, words wording, at sent) error {
	return c.change(ctx, lpConsumer, func(list []copied) []copied {
		i := slices.IndexFunc(list, func(x copied) bool { return x.Dialog == "" && words.is(x.Words) })
		if i >= 0 {
			list[i].Dialog, list[i].Sequence = at.dialog, at.sequence
		}
		return list
	})
}

// leftInDoubt says that a message that is given up may be there.
func (s *sender) leftInDoubt(ctx context.Context, e *bridge.Entry) {
	text, ok := textOf(e)
	t, err := s.directory.thread(ctx, e.ThreadKey())
	if err == nil && t != nil && ok {
		now := time.Now().UTC()
		err = s.copies.expect(ctx, t.LPConsumer, copied{Event: e.ID, Words: s.copies.wordsOf(text).keyed, Doubted: now, Sent: now})
	}
	if err != nil {
		s.log.Warn("the journal did not remember that a message that was given up may have arrived", "event", string(e.ID), "error", err)
	}
}

// doubtedSince is since when a message may have arrived, zero for one that may not.
func doubtedSince(e *bridge.Entry) time.Time {
	if e.Doubt == nil {
		return time.Time{}
	}
	return e.Doubt.Since
}

// expectCopy says, when a message may have arrived before, that it may be there
// twice. doubted is since when that is so, zero where it is not.
func (s *sender) expectCopy(ctx context.Context, e *bridge.Entry, lpConsumer string, doubted time.Time) error {
	if doubted.IsZero() {
		return nil
	}
	copy := copied{Event: e.ID, Doubted: doubted.UTC(), Sent: time.Now().UTC()}
	if text, ok := textOf(e); ok {
		copy.Words = s.copies.wordsOf(text).keyed
	}
	if err := s.copies.expect(ctx, lpConsumer, copy); err != nil {
		return connector.NotSent("remember that a message is sent again", bridge.Retry, err)
	}
	return nil
}
