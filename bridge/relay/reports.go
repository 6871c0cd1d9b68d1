package relay

import (
	"context"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// acceptStatus are LivePerson's words for how far an agent's message got (Send
// API, Accept Status Events).
var acceptStatus = map[bridge.ReceiptStatus]connector.AcceptStatus{
	bridge.ReceiptDelivered: connector.Accept,
	bridge.ReceiptRead:      connector.Read,
	bridge.ReceiptFailed:    connector.Nack,
}

// sendReceipt tells agents how far their messages got, in the conversation they
// belong to, whoever has it now.
func (s *sender) sendReceipt(ctx context.Context, batch []*bridge.Entry) error {
	var dialog string
	var sequences []connector.Sequence
	var status bridge.ReceiptStatus
	for _, e := range batch {
		ev, err := e.Decode()
		if err != nil {
			continue
		}
		status = ev.Receipt.Status
		for _, id := range ev.Receipt.MessageIDs {
			d, sequence, ok := id.Position()
			if ok && (dialog == "" || d == dialog) {
				dialog = d
				sequences = append(sequences, connector.Sequence(sequence))
			}
		}
	}
	c, err := s.own(ctx, batch[0].ThreadKey(), "", dialog)
	if err != nil {
		return err
	}
	if len(sequences) == 0 || !c.TakesMessages() {
		s.metrics.undelivered(batch[0], "conversation_over")
		return nil
	}
	return s.report(ctx, c, dialog, connector.AcceptStatusEvent{Status: acceptStatus[status], SequenceList: sequences})
}

// report sends what became of an agent's message. It takes a number of its own.
func (s *sender) report(ctx context.Context, c *bridge.Conversation, dialog string, status connector.AcceptStatusEvent) error {
	sequence, err := s.lp.Send(ctx, c.Identity(), c.Target(dialog), status)
	if err == nil {
		s.order.Saw(dialog, int64(sequence))
	}
	return err
}

// own returns a conversation of the thread's consumer, nil when it is not known
// or another consumer's.
func (s *sender) own(ctx context.Context, key bridge.ThreadKey, id, dialog string) (*bridge.Conversation, error) {
	t, err := s.directory.thread(ctx, key)
	if t == nil || err != nil {
		return nil, notKnown(err)
	}
	c, err := s.directory.conversationOf(ctx, id, dialog)
	if c == nil || err != nil || c.ExtConsumer != t.ExtConsumer {
		return nil, notKnown(err)
	}
	return c, nil
}

// notKnown is why a row could not be read.
func notKnown(err error) error {
	if err == nil {
		return nil
	}
	return connector.NotSent("find the conversation", bridge.Retry, err)
}

// sendClick tells LivePerson that a structured element was used. Of a
// conversation that is over it wants to hear nothing.
func (s *sender) sendClick(ctx context.Context, e *bridge.Entry, ev *bridge.Event) error {
	p := ev.Position
	if p == nil || len(p.Sequences) == 0 {
		s.metrics.undelivered(e, "no_position")
		return nil
	}
	c, err := s.own(ctx, e.ThreadKey(), p.Conversation, p.Dialog)
	if err != nil {
		return err
	}
	if !c.TakesMessages() {
		s.metrics.undelivered(e, "conversation_over")
		return nil
	}
	return s.report(ctx, c, p.Dialog, connector.AcceptStatusEvent{
		Status: connector.Action, SequenceList: []connector.Sequence{connector.Sequence(p.Sequences[0])},
		Metadata: p.Metadata,
	})
}

// close closes for the consumer. Typing ends first, because a closed conversation
// takes no chat states.
func (s *sender) close(ctx context.Context, e *bridge.Entry) error {
	_, c, err := s.directory.current(ctx, e.ThreadKey())
	if err != nil {
		return notKnown(err)
	}
	if !c.TakesMessages() {
		s.metrics.undelivered(e, "conversation_over")
		return nil
	}
	// A close is not held up by typing that cannot be told.
	s.endTyping(ctx, c.Holder())
	var change connector.ConversationField = connector.ConversationStateField{}
	switch {
	case c.Survey != "":
		change = connector.Stage{}
	case s.survey:
		change = connector.DialogChange{DialogID: connector.DialogID(c.Dialog)}
	}
	err = s.lp.UpdateConversation(ctx, c.Identity(), connector.ConversationID(c.ID), change)
	if err != nil && !conversationRefused(err) {
		return err
	}
	if err == nil && s.survey && c.Survey == "" && s.notified() {
		// Whether a survey follows, the next notification says.
		return nil
	}
	s.forgetTyping(c.Holder(), c.ID)
	return s.opener.ended(ctx, c, c.Writes())
}

// sendRating reports how the consumer rates a conversation, also after its end
// (Send API, CSAT).
func (s *sender) sendRating(ctx context.Context, e *bridge.Entry, ev *bridge.Event) error {
	c, err := s.rated(ctx, e.ThreadKey(), ev)
	if err != nil {
		return notKnown(err)
	}
	if c == nil {
		s.metrics.undelivered(e, "no_conversation")
		return nil
	}
	return s.lp.UpdateConversation(ctx, c.Identity(), connector.ConversationID(c.ID), rateOf(ev.Rating))
}

// withoutConversation tells of words that have no conversation left to be said in.
func (s *sender) withoutConversation(e *bridge.Entry) {
	s.metrics.undelivered(e, "conversation_over")
	s.log.Warn("what was said with a rating has no place any more, its conversation is over",
		"channel", e.Lane.Channel, "thread", string(e.Lane.Thread), "event", string(e.ID), "seq", e.Seq)
}

// sendRemark says what belongs to one conversation only. When that takes no more
// messages there is nothing it could be said in.
func (s *sender) sendRemark(ctx context.Context, e *bridge.Entry, ev *bridge.Event) (sent, error) {
	c, err := s.directory.conversation(ctx, ev.Position.Conversation)
	if err != nil {
		return sent{}, notKnown(err)
	}
	if !c.TakesMessages() {
		s.withoutConversation(e)
		return sent{}, nil
	}
	if err := s.expectCopy(ctx, e, c.LPConsumer, doubtedSince(e)); err != nil {
		return sent{}, err
	}
	dialog := c.Writes()
	sequence, err := s.uploads.publish(ctx, c.Identity(), c.Target(dialog), &outgoing{entry: e, event: ev, text: ev.Message.Text})
	switch {
	case err == nil:
		s.order.Saw(dialog, int64(sequence))
		return sent{dialog, int64(sequence)}, nil
	case conversationRefused(err):
		s.withoutConversation(e)
		return sent{}, s.opener.ended(ctx, c, dialog)
	}
	return sent{}, err
}

// rated is the conversation a rating is about: acceptance has found it out, but
// for ratings of an earlier version.
func (s *sender) rated(ctx context.Context, key bridge.ThreadKey, ev *bridge.Event) (*bridge.Conversation, error) {
	if ev.Position != nil && ev.Position.Conversation != "" {
		return s.directory.conversation(ctx, ev.Position.Conversation)
	}
	_, c, err := s.directory.current(ctx, key)
	return c, err
}

func rateOf(r *bridge.Rating) connector.CSATRate {
	return connector.CSATRate{Rate: r.Score, ResolutionConfirmation: r.Resolved}
}
