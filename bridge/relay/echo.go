package relay

import (
	"context"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

// echo is a consumer's own message coming back.
type echo struct {
	conversation *bridge.Conversation
	dialog       string
	sequence     int64
	text         string
	// path is that of a file, empty for a text.
	path string
	// raw is the change as it came.
	raw []byte
	// taken is when LivePerson took it, by its own clock.
	taken time.Time
	// postponed says that it is kept, for nobody can tell yet which message it is.
	postponed bool
}

// takeEcho notes a message of our own consumer; their other events tell us
// nothing we did not cause.
func (n *news) takeEcho(in *intake, owner *bridge.Conversation, c *connector.MessagingChange) {
	if c.Event.Type != connector.TypeContentEvent || c.Sequence == connector.NoSequence {
		n.metrics.drop("own")
		return
	}
	e := echo{conversation: owner, dialog: string(c.DialogID), sequence: int64(c.Sequence), text: c.Event.Text, raw: c.Raw, taken: c.ServerTimestamp}
	if c.Event.File != nil {
		e.path = c.Event.File.RelativePath
	}
	in.echoes = append(in.echoes, e)
}

// settleEcho settles the delivery an echo proves, and does nothing when the
// ledger knows whose it is. It returns once the journal has it.
func (n *news) settleEcho(ctx context.Context, e *echo) error {
	known := func(ctx context.Context) (bool, error) {
		there, err := n.journal.MessagesAt(ctx, e.dialog, []int64{e.sequence})
		return len(there) > 0, err
	}
	// Most are known, and then nothing else is to be found out.
	if known, err := known(ctx); known || err != nil {
		return err
	}
	uploaded, err := n.uploaded(ctx, e.path)
	if err != nil {
		return err
	}
	keys, err := n.lanesFor(ctx, e)
	if err != nil {
		return err
	}
	last, err := n.journal.LastOf(ctx, e.dialog)
	if err != nil {
		return err
	}
	copied, err := n.copies.of(ctx, e.conversation.LPConsumer)
	if err != nil {
		return err
	}
	var asked *bridge.Entry
	found, err := n.echoed(ctx, keys, lane.Arrival{
		Dialog: e.dialog, Sequence: e.sequence, Known: known,
		Matches: func(entry *bridge.Entry) bool {
			return entry.Kind == bridge.KindMessage && e.proves(entry, uploaded)
		},
		Resembles: func(entry *bridge.Entry) bool {
			return entry.Kind == bridge.KindMessage && e.path == "" && e.sequence > last
		},
		Excludes: func(ctx context.Context, entry *bridge.Entry, doubted []bridge.EventID) (bool, error) {
			asked = entry
			return n.excludes(ctx, e, entry, e.proves(entry, uploaded), doubted)
		},
	})
	switch {
	case err != nil:
		return err
	case found.Settled:
		n.metrics.echoes.Inc()
		n.copies.echoed(ctx, e.conversation.LPConsumer, asked.ID, sent{e.dialog, e.sequence}, e.taken)
		return nil
	case found.Undecided != nil:
		return n.postpone(ctx, e, found.Undecided)
	case found.Known || e.path != "" || !copied.awaited() || copied.at(e.dialog, e.sequence) != "":
		return nil
	}
	return n.copies.found(ctx, e.conversation.LPConsumer, n.copies.wordsOf(e.text), sent{e.dialog, e.sequence})
}

// excludes reports whether what came back cannot be an entry, in whose words it is
// or not: it may be a copy of another one that has been settled, or lies before the
// message that its lane sent before.
func (n *news) excludes(ctx context.Context, e *echo, entry *bridge.Entry, sameWords bool, doubted []bridge.EventID) (bool, error) {
	copied, err := n.copies.of(ctx, e.conversation.LPConsumer)
	if err != nil {
		return false, err
	}
	if of := copied.at(e.dialog, e.sequence); of != "" {
		// It may have been known before the journal had that it settles that one.
		return of != entry.ID, nil
	}
	if !sameWords && copied.awaited() || e.path == "" && copied.another(doubted, n.copies.wordsOf(e.text)) {
		return true, nil
	}
	if !copied.mayLie(sent{e.dialog, e.sequence}, sameWords, n.copies.wordsOf(e.text)) {
		// Without a copy each message lies in one position at most. Of messages in the
		// same words another one may have been settled by the echo of this one.
		return false, nil
	}
	before, err := n.journal.LastOfThread(ctx, e.dialog, entry.ThreadKey())
	return before >= e.sequence, err
}

// postpone keeps an echo that may be of several messages until the answer to one
// of them says more. LivePerson is not made to repeat it: a notification that is
// refused holds back those of everybody (Retry Policy).
func (n *news) postpone(ctx context.Context, e *echo, undecided <-chan struct{}) error {
	in := intake{}
	err := in.unclaimed(bridge.Unclaimed{Conversation: e.conversation.ID, Dialog: e.dialog, Sequence: e.sequence}, typeMessaging, e.raw)
	if err != nil {
		return err
	}
	if _, err := n.journal.Append(ctx, in.batch); err != nil {
		return err
	}
	e.postponed = true
	n.spawn(func(ctx context.Context) {
		select {
		case <-undecided:
		case <-ctx.Done():
			return
		}
		if err := n.claim(ctx, e.conversation.ID); err != nil && ctx.Err() == nil {
			n.log.Warn("an echo that was kept could not be looked at again", "conversation", e.conversation.ID, "error", err)
		}
	})
	return nil
}

// lanesFor names the lanes an echo may be of: those of all threads of its
// consumer, the holder's first.
func (n *news) lanesFor(ctx context.Context, e *echo) ([]bridge.LaneKey, error) {
	keys := []bridge.LaneKey{e.conversation.Holder().Lane(bridge.ToLivePerson)}
	threads, err := n.directory.rows.ThreadsOf(ctx, e.conversation.LPConsumer)
	if err != nil {
		return nil, err
	}
	for i := range threads {
		if key := threads[i].Key().Lane(bridge.ToLivePerson); key != keys[0] {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// proves compares an entry with what came back.
func (e *echo) proves(entry *bridge.Entry, uploaded bridge.EventID) bool {
	if e.path != "" {
		return uploaded != "" && entry.ID == uploaded
	}
	text, ok := textOf(entry)
	return ok && text == e.text
}

// textOf are the words of a message as they are sent where it is one of words.
func textOf(e *bridge.Entry) (text string, ok bool) {
	ev, err := e.Decode()
	if err != nil || ev.Message == nil {
		return "", false
	}
	if len(ev.Message.Attachments) > 0 {
		return linkOf(ev.Message.Attachments[0]), true
	}
	return ev.Message.Text, true
}
