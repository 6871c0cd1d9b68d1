package livechatai

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lpbridge/bridge"
)

// clockSkew is how much older than the agent's message its copy in LiveChatAI
// may seem to be, for the two have different clocks.
const clockSkew = time.Minute

// errNothingToSay is a message without anything that can be shown.
var errNothingToSay = errors.New("the message has neither text nor files")

// Deliver implements [bridge.Adapter]. A message becomes one reply, and with
// LIVECHATAI_IMAGES=image one more for each picture. What was written of an
// event before is not written again.
func (l *LiveChatAI) Deliver(ctx context.Context, e *bridge.Event) error {
	switch e.Kind {
	case bridge.KindMessage:
		return l.say(ctx, e)
	case bridge.KindState:
		if e.State.Conversation == bridge.StateClosed && !l.cfg.KeepOpen {
			return l.end(ctx, e)
		}
		return nil
	}
	return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: fmt.Errorf("LiveChatAI takes no %s", e.Kind)}
}

func (l *LiveChatAI) say(ctx context.Context, e *bridge.Event) error {
	parts := l.parts(e)
	if len(parts) == 0 {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errNothingToSay}
	}
	for i, part := range parts {
		done, err := l.store.replied(ctx, e.ID, i)
		if err != nil {
			return &bridge.DeliveryError{Outcome: bridge.Retry, Err: err}
		}
		if done {
			continue
		}
		if err := l.reply(ctx, e, i, part); err != nil {
			return err
		}
	}
	l.poll.traffic()
	return nil
}

// reply writes one part. Until its id is known, the text stands for it.
func (l *LiveChatAI) reply(ctx context.Context, e *bridge.Event, i int, part replyRequest) error {
	defer l.flight.begin(string(e.Thread), part.Message)()
	id, failed := l.far.reply(ctx, string(e.Thread), part)
	if failed != nil {
		return failed
	}
	if err := l.store.keepReply(ctx, e.ID, i, string(e.Thread), id); err != nil {
		// The reply is there. Failing now would write it a second time.
		l.log.WarnContext(ctx, "a reply's id was not kept", "error", err)
	}
	return nil
}

// parts are the replies that a message becomes. LiveChatAI's replies have no
// buttons and take no files, so what the agent offers stands in the text.
func (l *LiveChatAI) parts(e *bridge.Event) []replyRequest {
	var lines []string
	var pictures []replyRequest
	user := l.users.of("")
	if e.Agent != nil {
		user = l.users.of(e.Agent.ID)
	}
	if text := e.Message.Numbered(); text != "" {
		lines = append(lines, text)
	}
	for _, a := range e.Message.Attachments {
		if l.cfg.Images == imagesAsImage && strings.HasPrefix(a.ContentType, "image/") {
			pictures = append(pictures, replyRequest{Message: a.URL, UserID: user, MessageType: typeImage})
			continue
		}
		lines = append(lines, strings.TrimSpace(a.Name+" "+a.URL))
	}
	if len(lines) == 0 {
		return pictures
	}
	text := replyRequest{Message: strings.Join(lines, "\n"), UserID: user, MessageType: typeText}
	return append([]replyRequest{text}, pictures...)
}

// Settled implements [bridge.Settler]: it reads the conversation and looks for
// our words. Parts that are there are remembered, so that [LiveChatAI.Deliver]
// writes the others only. An error leaves the event in doubt.
func (l *LiveChatAI) Settled(ctx context.Context, e *bridge.Event) (bool, error) {
	if e.Kind != bridge.KindMessage {
		// To end twice does no harm.
		return false, nil
	}
	parts := l.parts(e)
	missing, err := l.missing(ctx, e, len(parts))
	if err != nil || len(missing) == 0 {
		return err == nil, inDoubt(err)
	}
	if wait := l.far.hushed(); wait > 0 {
		return false, inDoubt(errors.New("LiveChatAI wants no calls now"))
	}
	conv, failed := l.far.read(ctx, string(e.Thread))
	if failed != nil {
		// A conversation that is gone holds no reply, and takes none.
		if isGone(failed) {
			return false, nil
		}
		return false, inDoubt(failed)
	}
	for _, i := range missing {
		found, err := l.claim(ctx, e, i, parts[i], conv)
		if err != nil || !found {
			return false, inDoubt(err)
		}
	}
	return true, nil
}

// inDoubt keeps the core asking before it delivers: any other outcome would be
// taken for a fresh try.
func inDoubt(err error) error {
	if err == nil {
		return nil
	}
	return &bridge.DeliveryError{Outcome: bridge.Unknown, Err: err}
}

func (l *LiveChatAI) missing(ctx context.Context, e *bridge.Event, parts int) ([]int, error) {
	var missing []int
	for i := range parts {
		done, err := l.store.replied(ctx, e.ID, i)
		if err != nil {
			return nil, err
		}
		if !done {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// claim looks for a part among a conversation's messages: one with the same
// words that is not the visitor's, not older than the agent's message and not
// known as another reply of ours.
func (l *LiveChatAI) claim(ctx context.Context, e *bridge.Event, i int, part replyRequest, conv conversation) (bool, error) {
	for _, m := range inOrder(conv) {
		if l.isConsumer(m.Role) || strings.TrimSpace(m.Content) != strings.TrimSpace(part.Message) || m.CreatedAt.Before(e.Time.Add(-clockSkew)) {
			continue
		}
		ours, err := l.store.isReply(ctx, m.ID)
		if err != nil {
			return false, err
		}
		if !ours {
			return true, l.store.keepReply(ctx, e.ID, i, conv.ID, m.ID)
		}
	}
	return false, nil
}

// end resolves the conversation, unless LiveChatAI said first that it ended or
// the visitor has written since LivePerson closed.
func (l *LiveChatAI) end(ctx context.Context, e *bridge.Event) error {
	k, err := l.store.conversation(ctx, string(e.Thread))
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Retry, Err: err}
	}
	if k.record != 0 && (!k.Open || k.Wrote.After(e.Time)) {
		return nil
	}
	failed := l.far.end(ctx, string(e.Thread), endRequest{UserID: l.users.of("")})
	if failed != nil && !isGone(failed) {
		return failed
	}
	if err := l.keepEnd(ctx, e); err != nil {
		l.log.WarnContext(ctx, "the end of a conversation was not kept", "error", err)
	}
	return nil
}

// keepEnd remembers that LivePerson ended the conversation, so that LiveChatAI's
// word of it is no news.
func (l *LiveChatAI) keepEnd(ctx context.Context, e *bridge.Event) error {
	defer l.store.lock(string(e.Thread))()
	k, err := l.store.conversation(ctx, string(e.Thread))
	if err != nil || k.record == 0 || k.Wrote.After(e.Time) {
		return err
	}
	k.end(time.Now())
	return l.store.save(ctx, k)
}
