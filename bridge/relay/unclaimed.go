package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

const (
	// defaultUnclaimedFor is how long what LivePerson says of a conversation that
	// nobody knows is kept where it may be ours.
	defaultUnclaimedFor = 10 * time.Minute
	// sweepEvery is the time between two looks at what is kept.
	sweepEvery = time.Minute
	// unclaimedPage is how many changes are read at a time.
	unclaimedPage = 500
	// unreadableRecords is the kind of records that keep notifications nobody
	// could read.
	unreadableRecords = "unreadable"
	// maxSetAside is how much of such a notification is kept.
	maxSetAside = 64 << 10
)

// LivePerson's names of notifications (Webhooks, Events).
const (
	typeMessaging    = "ms.MessagingEventNotification"
	typeConversation = "cqm.ExConversationChangeNotification"
)

// takeUnknown takes an event of a conversation that nobody knows: another
// connector's, for webhooks are per account, unless one of ours may have been
// opened without our learning its id. Typing is not worth keeping.
func (n *news) takeUnknown(in *intake, c *connector.MessagingChange, possible bool) error {
	if c.Event.Type != connector.TypeChatStateEvent {
		if possible && !c.Private() {
			return in.unclaimed(bridge.Unclaimed{
				Conversation: string(c.ConversationID), Dialog: string(c.DialogID), Sequence: int64(c.Sequence),
			}, typeMessaging, c.Raw)
		}
	}
	n.metrics.drop("foreign")
	return nil
}

func (in *intake) unclaimed(u bridge.Unclaimed, kind string, change []byte) (err error) {
	if u.Body, err = wrapped(kind, u.Dialog, change); err != nil {
		return err
	}
	in.batch.Unclaimed = append(in.batch.Unclaimed, u)
	return nil
}

// full reports whether an intake was refused because too much is unclaimed, and
// counts what is lost by that.
func (n *news) full(err error, in *intake) bool {
	if !errors.Is(err, bridge.ErrUnclaimedFull) {
		return false
	}
	n.metrics.dropMany("unclaimed_full", len(in.batch.Unclaimed))
	for _, u := range in.batch.Unclaimed {
		n.log.Warn("a change of a conversation nobody knows is not kept, too many are", "conversation", u.Conversation, "dialog", u.Dialog, "sequence", u.Sequence)
	}
	return true
}

// claim takes what came about a conversation before its owner was known.
func (n *news) claim(ctx context.Context, conversation string) error {
	release, err := n.taking.lock(ctx, conversation)
	if err != nil {
		return err
	}
	defer release()
	return n.replay(ctx, conversation)
}

// replay takes what was kept of a conversation in the order of its sequences.
// taking is held.
func (n *news) replay(ctx context.Context, conversation string) error {
	kept, err := n.journal.UnclaimedOf(ctx, conversation)
	if len(kept) == 0 || err != nil {
		return err
	}
	var events []connector.MessagingChange
	for i := range kept {
		parsed, err := connector.ParseNotification(kept[i].Body)
		switch parsed := parsed.(type) {
		case *connector.MessagingEventNotification:
			events = append(events, parsed.Changes...)
		case *connector.ExConversationChangeNotification:
			for j := range parsed.Changes {
				if err := n.follow(ctx, &parsed.Changes[j]); err != nil {
					return err
				}
			}
		default:
			n.log.Error("a change that was kept cannot be read", "conversation", conversation, "error", err)
			n.metrics.drop("unreadable")
		}
	}
	postponed, err := n.takeClaimed(ctx, events)
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(u bridge.Unclaimed) bool { return slices.Contains(postponed, sent{u.Dialog, u.Sequence}) })
	ids := make([]int64, len(kept))
	for i := range kept {
		ids[i] = kept[i].ID
	}
	n.metrics.claimed.Add(float64(len(kept)))
	return n.journal.DropUnclaimed(ctx, ids...)
}

// sortBySequence brings the changes of each dialog into the order of their
// sequences. Those without one, such as chat states, keep their position.
func sortBySequence(changes []connector.MessagingChange) {
	numbered := map[connector.DialogID][]int{}
	for i := range changes {
		if changes[i].Sequence != connector.NoSequence {
			numbered[changes[i].DialogID] = append(numbered[changes[i].DialogID], i)
		}
	}
	for _, at := range numbered {
		sorted := make([]connector.MessagingChange, len(at))
		for i, index := range at {
			sorted[i] = changes[index]
		}
		slices.SortStableFunc(sorted, func(a, b connector.MessagingChange) int { return cmp.Compare(a.Sequence, b.Sequence) })
		for i, index := range at {
			changes[index] = sorted[i]
		}
	}
}

// takeClaimed takes events that have an owner now. Postponed are the positions of
// echoes that must be kept on.
func (n *news) takeClaimed(ctx context.Context, events []connector.MessagingChange) (postponed []sent, err error) {
	sortBySequence(events)
	var in intake
	for i := range events {
		if err := n.takeEvent(ctx, &in, &events[i], false); err != nil {
			return nil, err
		}
	}
	if err := n.keep(ctx, &in); err != nil {
		return nil, err
	}
	for i := range in.echoes {
		if e := &in.echoes[i]; e.postponed {
			postponed = append(postponed, sent{e.dialog, e.sequence})
		}
	}
	return postponed, nil
}

// sweep runs until ctx ends: it takes what has an owner by now, which happens when
// the process ended in between, and lets go what is surely not ours or too old.
func (n *news) sweep(ctx context.Context, keep time.Duration) {
	for {
		n.openings.expire()
		if err := n.sweepOnce(ctx, keep); err != nil && ctx.Err() == nil {
			n.log.Warn("changes of unknown conversations could not be looked through", "error", err)
		}
		if !pause(ctx, sweepEvery) {
			return
		}
	}
}

func (n *news) sweepOnce(ctx context.Context, keep time.Duration) error {
	possible := n.openings.possible()
	claimable := map[string]bool{}
	var foreign []int64
	for after := int64(0); ; {
		page, err := n.journal.AllUnclaimed(ctx, after, unclaimedPage)
		if err != nil {
			return err
		}
		for i := range page {
			u := &page[i]
			after = u.ID
			owner, err := n.directory.conversationOf(ctx, u.Conversation, u.Dialog)
			switch {
			case err != nil:
				return err
			case owner != nil:
				claimable[u.Conversation] = true
			case !possible:
				foreign = append(foreign, u.ID)
				n.metrics.drop("foreign")
			case time.Since(u.Received) > keep:
				foreign = append(foreign, u.ID)
				n.metrics.drop("unclaimed_expired")
				n.log.Warn("nobody claimed a change of an unknown conversation", "conversation", u.Conversation, "dialog", u.Dialog, "sequence", u.Sequence)
			}
		}
		if len(page) < unclaimedPage {
			break
		}
	}
	for conversation := range claimable {
		if err := n.claim(ctx, conversation); err != nil {
			return err
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return n.journal.DropUnclaimed(ctx, foreign...)
}

// setAside keeps a notification that cannot be read, so that an operator can see
// what LivePerson sent.
func (n *news) setAside(ctx context.Context, body []byte, why error) error {
	n.metrics.drop("unreadable_notification")
	n.log.Error("a notification cannot be read and is set aside", "bytes", len(body), "error", why)
	records := n.journal.RecordsOf(coreRecords)
	sum := sha256.Sum256(body)
	key := hex.EncodeToString(sum[:])
	if _, err := records.Find(ctx, unreadableRecords, key); !errors.Is(err, bridge.ErrNoRecord) {
		return err
	}
	id, err := records.NextID(ctx, unreadableRecords)
	if err != nil {
		return err
	}
	err = records.Save(ctx, bridge.Record{
		Kind: unreadableRecords, ID: id, Keys: []string{key}, Data: body[:min(len(body), maxSetAside)],
	})
	if errors.Is(err, bridge.ErrRecordTaken) {
		// The same came at the same time, and is kept.
		return nil
	}
	return err
}
