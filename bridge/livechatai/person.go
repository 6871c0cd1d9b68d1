package livechatai

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"

	"lpbridge/bridge"
)

var _ bridge.Keeper = (*LiveChatAI)(nil)

// Known implements [bridge.Keeper].
func (a *LiveChatAI) Known(ctx context.Context, p *bridge.Person) error {
	return a.store.of(ctx, p, func(_ *bridge.Record, k *known) error {
		if thread := bridge.ThreadID(k.ID); !slices.Contains(p.Threads, thread) {
			p.Threads = append(p.Threads, thread)
		}
		return nil
	})
}

// of goes through the conversations of a person.
func (b *store) of(ctx context.Context, p *bridge.Person, each func(*bridge.Record, *known) error) error {
	for _, parent := range []string{parentOpen, parentClosed} {
		for r, err := range bridge.EachRecord(ctx, b.records(), conversationRecords, parent) {
			if err != nil {
				return err
			}
			k, err := decodeKnown(r)
			if err != nil {
				return err
			}
			if !slices.Contains(p.Consumers, k.consumer()) && !slices.Contains(p.Threads, bridge.ThreadID(k.ID)) {
				continue
			}
			if err := each(&r, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// Kept implements [bridge.Keeper].
func (a *LiveChatAI) Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	err := a.store.of(ctx, p, func(r *bridge.Record, _ *known) error { return showRecord(r, json.RawMessage(r.Data), show) })
	if err != nil {
		return err
	}
	for _, thread := range p.Threads {
		for r, err := range bridge.EachRecord(ctx, a.store.records(), replyRecords, string(thread)) {
			if err != nil {
				return err
			}
			if err := showRecord(&r, map[string]any{"conversation": thread}, show); err != nil {
				return err
			}
		}
	}
	return nil
}

func showRecord(r *bridge.Record, data any, show func(bridge.Kept) error) error {
	k, err := bridge.KeptRecord(name, r, data, nil)
	if err != nil {
		return err
	}
	return show(k)
}

// Erase implements [bridge.Keeper].
func (a *LiveChatAI) Erase(_ context.Context, p *bridge.Person, erase func() error) error {
	defer a.store.lockAll(p.Threads)()
	return erase()
}

// lockAll keeps others from changing the records of several conversations. Two of
// them may share a mutex, and all who take several take them in one order.
func (b *store) lockAll(threads []bridge.ThreadID) (unlock func()) {
	var stripes []uint64
	for _, thread := range threads {
		stripes = append(stripes, maphash.String(b.seed, string(thread))%uint64(len(b.stripes)))
	}
	slices.Sort(stripes)
	stripes = slices.Compact(stripes)
	for _, i := range stripes {
		b.stripes[i].Lock()
	}
	return func() {
		for _, i := range stripes {
			b.stripes[i].Unlock()
		}
	}
}
