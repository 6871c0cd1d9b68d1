package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// Archive finds, shows and erases what the journal keeps of one person.
type Archive interface {
	// Identify adds to a person what they are known by.
	Identify(ctx context.Context, p *bridge.Person) error
	// Kept calls show with all that is kept, but for records.
	Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error
	// Erasing finds what is to be removed, and returns what removes it with records.
	Erasing(ctx context.Context, p *bridge.Person) (commit func(context.Context, []bridge.RecordKey) (bridge.Erased, error), err error)
	// Scrub overwrites what is left of it in the files.
	Scrub(ctx context.Context) error
}

// Consumers shows and erases what is kept of one consumer at a time, by channel,
// engine and journal.
type Consumers struct{ *Bridge }

// Consumers returns the bridge's.
func (b *Bridge) Consumers() *Consumers { return &Consumers{b} }

const (
	// restTime is how long a person's conversations may take to end who is to be
	// erased, restEvery how often it is looked whether they have.
	restTime  = time.Minute
	restEvery = 100 * time.Millisecond
	// closeAgain is after what time a conversation that is still open is closed once
	// more: a survey may have followed.
	closeAgain = 3 * time.Second
	// eraseRounds is how often it is looked for what came while erasing.
	eraseRounds = 3
)

// identify adds to a person what journal and channel know them by.
func (b *Consumers) identify(ctx context.Context, p *bridge.Person) error {
	if b.opts.Archive == nil {
		return errNotRunning
	}
	if p.Channel == "" && len(p.ExtConsumers) > 0 {
		p.Channel, _, _ = strings.Cut(p.ExtConsumers[0], ":")
	}
	adapter := b.adapters[p.Channel]
	if adapter == nil {
		return fmt.Errorf("%w: %q", bridge.ErrNoFarSide, p.Channel)
	}
	keeper, keeps := adapter.(bridge.Keeper)
	for known := -1; known < len(p.Consumers)+len(p.Threads); {
		known = len(p.Consumers) + len(p.Threads)
		if err := b.opts.Archive.Identify(ctx, p); err != nil {
			return err
		}
		if !keeps {
			continue
		}
		if err := keeper.Known(ctx, p); err != nil {
			return err
		}
	}
	for _, id := range p.Consumers {
		ext, err := b.identity.of(ctx, p.Channel, id)
		if err != nil {
			return err
		}
		if !slices.Contains(p.ExtConsumers, ext) {
			p.ExtConsumers = append(p.ExtConsumers, ext)
		}
	}
	return nil
}

// ExportConsumer calls show with everything that is kept of a person, who is
// identified by what is set, and ends with its first error. [bridge.ErrNobody] when
// that is nothing, [bridge.ErrNoFarSide] when the channel does not run.
func (b *Consumers) ExportConsumer(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	if err := b.identify(ctx, p); err != nil {
		return err
	}
	some := false
	counted := func(k bridge.Kept) error {
		some = true
		return show(k)
	}
	if err := b.opts.Archive.Kept(ctx, p, counted); err != nil {
		return err
	}
	if err := b.keptRecords(ctx, p, counted); err != nil {
		return err
	}
	if !some {
		return bridge.ErrNobody
	}
	return nil
}

// EraseConsumer removes everything that is kept of a person, who is identified by
// what is set, and overwrites what is left in the journal's files. A conversation
// that is open, or events that wait, are [bridge.ErrNotAtRest], unless closing says
// to close and to wait. Otherwise errors are those of [Consumers.ExportConsumer].
func (b *Consumers) EraseConsumer(ctx context.Context, p *bridge.Person, closing bool) (bridge.Erased, error) {
	var total bridge.Erased
	for range eraseRounds {
		if err := b.identify(ctx, p); err != nil {
			return total, err
		}
		if closing && total.Nothing() {
			if err := b.bringToRest(ctx, p); err != nil {
				return total, err
			}
		}
		erased, err := b.eraseFound(ctx, p)
		if errors.Is(err, bridge.ErrNotAtRest) && !total.Nothing() {
			// They have begun anew.
			break
		}
		if err != nil {
			return total, err
		}
		if erased.Nothing() {
			break
		}
		total.Add(erased)
	}
	if total.Nothing() {
		return total, bridge.ErrNobody
	}
	return total, b.opts.Archive.Scrub(ctx)
}

// eraseFound removes what is kept of a person that was identified, while neither
// channel nor engine changes it, and forgets what is in memory.
func (b *Consumers) eraseFound(ctx context.Context, p *bridge.Person) (erased bridge.Erased, err error) {
	commit, err := b.opts.Archive.Erasing(ctx, p)
	if err != nil {
		return erased, err
	}
	erase := func() error {
		var records []bridge.RecordKey
		err := b.keptRecords(ctx, p, func(k bridge.Kept) error {
			records = append(records, *k.Record)
			return nil
		})
		if err != nil {
			return err
		}
		for _, ext := range slices.Sorted(slices.Values(p.ExtConsumers)) {
			release, err := b.directory.editing.lock(ctx, ext)
			if err != nil {
				return err
			}
			defer release()
		}
		erased, err = commit(ctx, records)
		b.forgetPerson(ctx, p)
		return err
	}
	if keeper, keeps := b.adapters[p.Channel].(bridge.Keeper); keeps {
		return erased, keeper.Erase(ctx, p, erase)
	}
	return erased, erase()
}

// forgetPerson drops what is in memory of a person.
func (b *Consumers) forgetPerson(ctx context.Context, p *bridge.Person) {
	b.directory.writes.Add(1)
	for _, id := range p.Threads {
		b.directory.threads.drop(bridge.ThreadKey{Channel: p.Channel, Thread: id})
	}
	for _, id := range p.Conversations {
		b.directory.conversations.drop(id)
	}
	for _, id := range p.Dialogs {
		b.directory.dialogs.Remove(id)
	}
	for _, id := range p.Consumers {
		b.sender.profiles.forget(consumerKey{p.Channel, id})
	}
	for _, id := range p.LPConsumers {
		b.openings.known(ctx, id)
	}
}

// keptRecords shows the records that channel and engine keep of a person.
func (b *Consumers) keptRecords(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	if keeper, keeps := b.adapters[p.Channel].(bridge.Keeper); keeps {
		if err := keeper.Kept(ctx, p, show); err != nil {
			return err
		}
	}
	own := ownRecords{b.journal.RecordsOf(coreRecords), p, show}
	for _, id := range p.Threads {
		parent := threadParent(bridge.ThreadKey{Channel: p.Channel, Thread: id})
		for _, kind := range []string{offerRecords, uploadRecords} {
			if err := own.each(ctx, kind, parent, func(bridge.Record) bool { return true }); err != nil {
				return err
			}
		}
	}
	for kind, about := range map[string]func(bridge.Record) bool{
		fileRecords: own.file, deniedRecords: own.denied, copyRecords: own.copied,
		unreadableRecords: func(r bridge.Record) bool { return p.NamedIn(r.Data) },
	} {
		if err := own.each(ctx, kind, "", about); err != nil {
			return err
		}
	}
	return nil
}

// ownRecords are the engine's records about a person.
type ownRecords struct {
	records bridge.Records
	person  *bridge.Person
	show    func(bridge.Kept) error
}

func (o ownRecords) each(ctx context.Context, kind, parent string, about func(bridge.Record) bool) error {
	for r, err := range bridge.EachRecord(ctx, o.records, kind, parent) {
		if err != nil {
			return err
		}
		if !about(r) {
			continue
		}
		shown := any(string(r.Data))
		if json.Valid(r.Data) {
			shown = json.RawMessage(r.Data)
		}
		k, err := bridge.KeptRecord(coreRecords, &r, shown, nil)
		if err == nil {
			err = o.show(k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o ownRecords) file(r bridge.Record) bool {
	var f agentFile
	// One that cannot be read is of no use to anybody.
	return json.Unmarshal(r.Data, &f) == nil && slices.Contains(o.person.ExtConsumers, f.Consumer)
}

func (o ownRecords) denied(r bridge.Record) bool {
	return slices.ContainsFunc(r.Keys, func(key string) bool {
		dialog, _, ok := bridge.EventID(key).Position()
		return ok && slices.Contains(o.person.Dialogs, dialog)
	})
}

func (o ownRecords) copied(r bridge.Record) bool {
	return slices.ContainsFunc(r.Keys, func(key string) bool { return slices.Contains(o.person.LPConsumers, key) })
}

// bringToRest closes a person's open conversations and waits until nothing of
// theirs is on its way.
func (b *Consumers) bringToRest(ctx context.Context, p *bridge.Person) error {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	for closed := (time.Time{}); ; {
		open, waiting, err := b.underWay(ctx, p)
		switch {
		case err != nil:
			return err
		case len(open) == 0 && !waiting:
			return nil
		case len(open) > 0 && !waiting && time.Since(closed) > closeAgain:
			if err := b.closeAll(ctx, p, open); err != nil {
				return err
			}
			closed = time.Now()
		}
		if !pause(ctx, restEvery) {
			return bridge.ErrNotAtRest
		}
	}
}

// underWay lists the open conversations of a person, and reports whether events of
// theirs wait.
func (b *Consumers) underWay(ctx context.Context, p *bridge.Person) (open []*bridge.Conversation, waiting bool, err error) {
	for _, id := range p.Conversations {
		c, err := b.journal.Conversation(ctx, id)
		if err != nil {
			return nil, false, err
		}
		switch {
		case c.TakesMessages():
			open = append(open, c)
		case c != nil && c.Announced && b.notified.Load() && time.Since(c.Ended) < closeAgain:
			// LivePerson is about to say that it ended. What it says of a conversation
			// that nobody knows may be kept for a while.
			waiting = true
		}
	}
	for _, id := range p.Threads {
		key := bridge.ThreadKey{Channel: p.Channel, Thread: id}
		for _, d := range []bridge.Direction{bridge.ToLivePerson, bridge.ToChannel} {
			list, err := b.journal.PendingOf(ctx, key.Lane(d), 0, 1)
			if err != nil || len(list) > 0 {
				return open, true, err
			}
		}
	}
	return open, waiting, nil
}

// closeAll ends conversations as if the channel had closed them, so that typing ends
// and agents see it; one that no thread holds is closed directly.
func (b *Consumers) closeAll(ctx context.Context, p *bridge.Person, open []*bridge.Conversation) error {
	for _, c := range open {
		if c.Channel == "" {
			if err := b.closeUnheld(ctx, c); err != nil {
				return err
			}
			continue
		}
		if len(p.Consumers) == 0 {
			// It ends by itself, when nobody answers for it any more.
			return bridge.ErrNotAtRest
		}
		event := bridge.Event{
			ID: bridge.EventID("erase:" + rand.Text()), Kind: bridge.KindClose, Thread: c.Thread,
			Consumer: &bridge.Consumer{ID: p.Consumers[0]},
		}
		if _, err := b.Core(p.Channel).Accept(ctx, []bridge.Event{event}); err != nil {
			return err
		}
	}
	return nil
}

func (b *Consumers) closeUnheld(ctx context.Context, c *bridge.Conversation) error {
	err := b.lp.UpdateConversation(ctx, c.Identity(), connector.ConversationID(c.ID), connector.ConversationStateField{})
	if err != nil && !conversationRefused(err) {
		return err
	}
	return b.opener.ended(ctx, c, c.Writes())
}
