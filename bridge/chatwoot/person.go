package chatwoot

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"lpbridge/bridge"
)

var _ bridge.Keeper = (*Chatwoot)(nil)

// Known implements [bridge.Keeper]. Who was only overheard by a bot is known by the
// number of the conversation alone.
func (c *Chatwoot) Known(ctx context.Context, p *bridge.Person) error {
	for r, err := range bridge.EachRecord(ctx, c.core.Records(), recordContact, "") {
		if err != nil {
			return err
		}
		if w, err := readWrote(r); err == nil && slices.Contains(p.Consumers, w.consumer) && !slices.Contains(p.Threads, threadOf(w.thread)) {
			p.Threads = append(p.Threads, threadOf(w.thread))
		}
	}
	return nil
}

// Kept implements [bridge.Keeper].
func (c *Chatwoot) Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	for r, err := range bridge.EachRecord(ctx, c.core.Records(), recordContact, "") {
		if err != nil {
			return err
		}
		w, err := readWrote(r)
		if err != nil || !slices.Contains(p.Consumers, w.consumer) {
			continue
		}
		if err := showRecord(&r, map[string]any{"conversation": w.thread, "consumer": w.consumer}, show); err != nil {
			return err
		}
	}
	for _, thread := range p.Threads {
		number, err := strconv.ParseInt(string(thread), 10, 64)
		if err != nil {
			continue
		}
		for _, kind := range []string{recordStatus, recordTranscript} {
			if err := c.keptOf(ctx, kind, number, show); err != nil {
				return err
			}
		}
	}
	return nil
}

// keptOf shows the record of a conversation, if there is one.
func (c *Chatwoot) keptOf(ctx context.Context, kind string, conversation int64, show func(bridge.Kept) error) error {
	r, err := c.core.Records().Get(ctx, kind, conversation)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil
	}
	if err != nil {
		return err
	}
	if kind == recordTranscript && json.Valid(r.Data) {
		return showRecord(&r, json.RawMessage(r.Data), show)
	}
	return showRecord(&r, string(r.Data), show)
}

func showRecord(r *bridge.Record, data any, show func(bridge.Kept) error) error {
	k, err := bridge.KeptRecord(name, r, data, nil)
	if err != nil {
		return err
	}
	return show(k)
}

// Erase implements [bridge.Keeper]. What comes meanwhile is of a conversation that
// is not at rest, and then nothing is erased.
func (c *Chatwoot) Erase(_ context.Context, p *bridge.Person, erase func() error) error {
	err := erase()
	c.seen.forget(p.Consumers, p.Threads)
	return err
}

// forget drops what is remembered of consumers and conversations.
func (m *memory) forget(consumers []bridge.ConsumerID, threads []bridge.ThreadID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for contact, w := range m.writers {
		if slices.Contains(consumers, w.consumer) {
			delete(m.writers, contact)
		}
	}
	for _, thread := range threads {
		number, err := strconv.ParseInt(string(thread), 10, 64)
		if err != nil {
			continue
		}
		delete(m.going, number)
		delete(m.changes, number)
		delete(m.silence, number)
	}
}
