package relay

import (
	"context"
	"encoding/json"
	"slices"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// What stands for content that no channel can show.
const (
	placeholderText = "[The agent sent something that cannot be shown here.]"
	placeholderForm = "[The agent sent a form that cannot be shown here.]"
)

// takeAgentEvent sorts what somebody on LivePerson's side did.
func (n *news) takeAgentEvent(ctx context.Context, in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	n.expect(agentOf(c))
	switch c.Event.Type {
	case connector.TypeContentEvent, connector.TypeRichContentEvent:
		return n.takeAgentMessage(ctx, in, owner, c)
	case connector.TypeChatStateEvent:
		return n.takeAgentTyping(ctx, in, owner, c)
	case connector.TypeAcceptStatusEvent:
		return n.takeAgentReceipt(in, owner, c)
	default:
		return n.denyUnknown(in, owner, c)
	}
}

// denyUnknown drops an event of a kind we do not know. One that has a number of its
// own may be a message, so its agent is told that nobody sees it.
func (n *news) denyUnknown(in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	n.metrics.drop("unknown_event")
	n.log.Warn("an event of a kind we do not know is not shown",
		"channel", owner.Channel, "conversation", owner.ID, "dialog", string(c.DialogID), "sequence", int64(c.Sequence))
	return n.deny(in, owner, c)
}

// takeAgentTyping passes typing on that belongs to what the thread talks about
// now.
func (n *news) takeAgentTyping(ctx context.Context, in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	t, err := n.directory.thread(ctx, owner.Holder())
	if err != nil {
		return err
	}
	if t == nil || t.Conversation != owner.ID || !owner.Open {
		n.metrics.drop("former_conversation")
		return nil
	}
	in.cues = append(in.cues, cue{owner.Holder(), agentOf(c), typingOf(c.Event.ChatState)})
	return nil
}

func agentOf(c *connector.MessagingChange) bridge.Agent {
	return bridge.Agent{ID: c.OriginatorID, Role: c.OriginatorRole}
}

// typingOf translates a chat state; one we do not know is never typing.
func typingOf(s connector.ChatState) bridge.TypingState {
	switch s {
	case connector.ChatComposing:
		return bridge.Composing
	case connector.ChatPause:
		return bridge.Paused
	default:
		return bridge.Stopped
	}
}

// takeAgentMessage journals a message for the channel. The agent is told the
// truth about one that nobody will see.
func (n *news) takeAgentMessage(ctx context.Context, in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	if !n.wants(owner.Channel, bridge.KindMessage) {
		n.metrics.drop("unwanted")
		n.log.Warn("an agent's message is not shown, the channel takes none", "channel", owner.Channel, "dialog", string(c.DialogID), "sequence", int64(c.Sequence))
		return n.deny(in, owner, c)
	}
	message := messageOf(c)
	message.Survey = owner.Survey != "" && owner.Survey == string(c.DialogID)
	ev := &bridge.Event{
		ID: eventID(c), Kind: bridge.KindMessage, Thread: owner.Thread, Time: c.ServerTimestamp,
		Agent: new(agentOf(c)), Message: message, Position: positionOf(c),
	}
	if err := n.attach(ctx, in, owner, ev, c); err != nil {
		return err
	}
	if message.Placeholder {
		n.metrics.drop("unknown_content")
		n.log.Warn("an agent's message has no form the consumer could be shown", "channel", owner.Channel, "dialog", string(c.DialogID), "sequence", int64(c.Sequence))
		record, err := n.denied.remember(ctx, ev.ID)
		if err != nil {
			return err
		}
		in.batch.Records = append(in.batch.Records, record)
	}
	in.forgetCues(owner.Holder(), c.OriginatorID)
	return in.append(owner.Holder(), bridge.ToChannel, ev)
}

// attach adds what a message brings along: a file to fetch, replies to choose.
func (n *news) attach(ctx context.Context, in *intake, owner *bridge.Conversation, ev *bridge.Event, c *connector.MessagingChange) error {
	for i := range c.Event.Files {
		record, err := n.files.share(ctx, owner, &c.Event.Files[i], ev.Message)
		if err != nil {
			return err
		}
		if record != nil {
			in.batch.Records = append(in.batch.Records, *record)
		}
	}
	if len(c.Event.QuickReplies) == 0 && len(c.Event.RichContent) == 0 {
		return nil
	}
	record, replies, err := n.offers.offer(ctx, owner.Holder(), ev, c)
	if err != nil {
		return err
	}
	if len(replies) > 0 {
		ev.Message.QuickReplies = replies
		if ev.Message.Text == placeholderText {
			// What can be chosen needs no words beside it.
			ev.Message.Text, ev.Message.Placeholder = "", false
		}
		in.batch.Records = append(in.batch.Records, record)
	}
	return nil
}

// deny tells the agent that a message will not be shown.
func (n *news) deny(in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	if c.Sequence == connector.NoSequence {
		return nil
	}
	return in.append(owner.Holder(), bridge.ToLivePerson, receiptFor(owner.Thread, eventID(c), bridge.ReceiptFailed))
}

// forgetCues drops the typing of an agent whose message stands after it in the
// notification.
func (in *intake) forgetCues(key bridge.ThreadKey, agent string) {
	in.cues = slices.DeleteFunc(in.cues, func(c cue) bool { return c.thread == key && c.agent.ID == agent })
}

// eventID names an event by its position, or by all that tells it apart where
// LivePerson gave it no sequence.
func eventID(c *connector.MessagingChange) bridge.EventID {
	if c.Sequence != connector.NoSequence {
		return bridge.AgentEventID(string(c.DialogID), int64(c.Sequence))
	}
	return bridge.EventID(string(c.DialogID) + ":" + c.Key())
}

func positionOf(c *connector.MessagingChange) *bridge.Position {
	p := &bridge.Position{Conversation: string(c.ConversationID), Dialog: string(c.DialogID), Metadata: c.Metadata}
	if c.Sequence != connector.NoSequence {
		p.Sequences = []int64{int64(c.Sequence)}
	}
	return p
}

// messageOf renders what an agent sent.
func messageOf(c *connector.MessagingChange) *bridge.Message {
	e := c.Event
	e.QuickReplies = nil
	linked, named := elsewhere(e.ExternalFiles)
	e.ExternalFiles = named
	m := &bridge.Message{Text: e.FallbackText()}
	for _, f := range linked {
		a := externalFile(f)
		if f.Caption != a.Name {
			m.Text = joined(m.Text, f.Caption)
		}
		m.Attachments = append(m.Attachments, a)
	}
	switch {
	case e.Type == connector.TypeRichContentEvent && isObject(e.RichContent):
		m.Rich = e.RichContent
	case e.Form != nil:
		m.Text, m.Placeholder = placeholderForm, true
	}
	if m.Text == "" && len(e.Files) == 0 && len(m.Attachments) == 0 {
		// Structured content without a word has nothing that any channel can show.
		m.Text, m.Placeholder, m.Rich = placeholderText, true, nil
	}
	return m
}

// takeAgentReceipt journals how far agents got with the consumer's messages.
func (n *news) takeAgentReceipt(in *intake, owner *bridge.Conversation, c *connector.MessagingChange) error {
	status, ok := map[connector.AcceptStatus]bridge.ReceiptStatus{
		connector.Accept: bridge.ReceiptDelivered, connector.Read: bridge.ReceiptRead, connector.Nack: bridge.ReceiptFailed,
	}[c.Event.Status]
	if !ok || !n.wants(owner.Channel, bridge.KindReceipt) || len(c.Event.SequenceList) == 0 {
		n.metrics.drop("unwanted")
		return nil
	}
	position := &bridge.Position{Conversation: string(c.ConversationID), Dialog: string(c.DialogID)}
	for _, s := range c.Event.SequenceList[:min(len(c.Event.SequenceList), maxNotificationSequences)] {
		position.Sequences = append(position.Sequences, int64(s))
	}
	return in.append(owner.Holder(), bridge.ToChannel, &bridge.Event{
		ID: eventID(c), Kind: bridge.KindReceipt, Thread: owner.Thread, Time: c.ServerTimestamp,
		Agent: new(agentOf(c)), Receipt: &bridge.Receipt{Status: status}, Position: position,
	})
}

// isObject reports whether a structured content is one: LivePerson writes some as
// a string of JSON, and one that cannot be read has nothing to show.
func isObject(content json.RawMessage) bool {
	return len(content) > 0 && content[0] == '{'
}
