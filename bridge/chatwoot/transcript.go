package chatwoot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lpbridge/bridge"
)

const (
	// maxTranscript is the longest transcript handed over, in bytes: it is to fit
	// into one message of LivePerson's.
	maxTranscript = 4000
	// transcriptTitle is what agents read above it.
	transcriptTitle = "Before the hand-over:"
)

// transcript is what was said in a conversation while a bot had it, in the order
// of the messages' numbers.
type transcript struct {
	Lines []line `json:"lines,omitempty"`
	// Omitted says that earlier lines were left out.
	Omitted bool `json:"omitted,omitempty"`
}

type line struct {
	Message int64  `json:"message"`
	Who     string `json:"who"`
	Text    string `json:"text"`
}

// leftToBot reports whether a bot has a conversation. A payload may be older than
// what is known.
func (c *Chatwoot) leftToBot(conv *conversation) bool {
	return c.pending == leave && conv.Status == statusPending && !c.seen.activeSince(conv.ID, conv.UpdatedAt)
}

// overhear writes down what is said to a bot and by it.
func (r *report) overhear(ctx context.Context, p *messagePayload) (news, error) {
	t, err := r.transcript(ctx, p.Conversation.ID)
	if err != nil {
		return news{}, err
	}
	text := p.words()
	known := slices.ContainsFunc(t.Lines, func(l line) bool { return l.Message == p.ID })
	if known || text == "" {
		return news{}, nil
	}
	r.core.LeftOut("left_to_bot")
	r.log.DebugContext(ctx, "a message is left to the bot", "thread", p.Conversation.ID, "message", p.ID)
	t.Lines = append(t.Lines, line{p.ID, p.speaker(), text})
	slices.SortFunc(t.Lines, func(a, b line) int { return cmp.Compare(a.Message, b.Message) })
	t.shorten()
	n := news{}
	return n, n.keep(p.Conversation.ID, t)
}

// speaker is who said something to a bot or for it, as agents are to read it.
func (p *messagePayload) speaker() string {
	switch {
	case p.MessageType == typeIncoming:
		return "Consumer"
	case p.Sender != nil && p.Sender.Name != "":
		return strings.Join(strings.Fields(p.Sender.Name), " ")
	}
	return "Bot"
}

// words are all of a message in one text.
func (p *messagePayload) words() string {
	words := []string{strings.TrimSpace(p.Content)}
	for _, a := range p.Attachments {
		if a.isFile() {
			words = append(words, strings.TrimSpace(a.name()+" "+a.DataURL))
			continue
		}
		words = append(words, a.described())
	}
	return strings.TrimSpace(strings.Join(words, "\n"))
}

// shorten leaves the oldest lines out of what has grown too long.
func (t *transcript) shorten() {
	for len(t.Lines) > 1 && len(t.text()) > maxTranscript {
		t.Lines, t.Omitted = t.Lines[1:], true
	}
	if only := &t.Lines[0]; len(t.Lines) == 1 && len(only.Text) > maxTranscript {
		only.Text, t.Omitted = strings.ToValidUTF8(only.Text[:maxTranscript], ""), true
	}
}

// text is what agents read.
func (t *transcript) text() string {
	var b strings.Builder
	b.WriteString(transcriptTitle)
	if t.Omitted {
		b.WriteString("\n…")
	}
	for _, l := range t.Lines {
		fmt.Fprintf(&b, "\n%s: %s", l.Who, l.Text)
	}
	return b.String()
}

// handOver says, where a bot had the conversation, what was said until now.
func (r *report) handOver(ctx context.Context, c *conversation) (news, error) {
	n := news{}
	t, err := r.transcript(ctx, c.ID)
	if err != nil || len(t.Lines) == 0 {
		return n, err
	}
	newest := t.Lines[len(t.Lines)-1].Message
	n.events = []bridge.Event{{
		ID: answerID("transcript", c.ID, t.text()+fmt.Sprint(newest)), Kind: bridge.KindMessage, Thread: threadOf(c.ID), Inbox: c.inbox(),
		Consumer: c.consumer(nil), Message: &bridge.Message{Text: t.text()},
	}}
	return n, n.keep(c.ID, transcript{})
}

// forget drops the transcript of a conversation that a bot ended.
func (r *report) forget(ctx context.Context, conversation int64, n *news) error {
	t, err := r.transcript(ctx, conversation)
	if err != nil || len(t.Lines) == 0 {
		return err
	}
	return n.keep(conversation, transcript{})
}

// keep adds what is known of a transcript to the records.
func (n *news) keep(conversation int64, t transcript) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	n.records = append(n.records, bridge.Record{Kind: recordTranscript, ID: conversation, Data: data})
	n.noted = append(n.noted, func(m *memory) { m.overheard(conversation, len(t.Lines) > 0) })
	return nil
}

// transcript returns what was overheard in a conversation. That nothing was is
// remembered, so that messages need no look into the journal.
func (c *Chatwoot) transcript(ctx context.Context, conversation int64) (transcript, error) {
	if c.pending != leave || c.seen.silent(conversation) {
		return transcript{}, nil
	}
	r, err := c.core.Records().Get(ctx, recordTranscript, conversation)
	if errors.Is(err, bridge.ErrNoRecord) {
		c.seen.overheard(conversation, false)
		return transcript{}, nil
	}
	if err != nil {
		return transcript{}, err
	}
	var t transcript
	// One that cannot be read is of no use; it must not cost the message.
	if json.Unmarshal(r.Data, &t) != nil {
		return transcript{}, nil
	}
	return t, nil
}
