package bridge

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// good returns a valid event of a kind.
func good(k Kind) Event {
	e := Event{ID: "evt-1", Kind: k, Thread: "t-42", Consumer: &Consumer{ID: "u-7"}}
	switch k {
	case KindMessage:
		e.Message = &Message{Text: "hello"}
	case KindTyping:
		e.ID, e.Typing = "", &Typing{State: Composing}
	case KindReceipt:
		e.Receipt = &Receipt{Status: ReceiptRead, MessageIDs: []EventID{"d:4"}}
	case KindClick:
		e.Click = &Click{MessageID: "d:4", ReplyID: "yes"}
	case KindRating:
		e.Rating = &Rating{Score: 1}
	}
	return e
}

func TestValidate(t *testing.T) {
	longest := strings.Repeat("x", maxIDLength)
	attachment := func(address string) func(e *Event) {
		return func(e *Event) { e.Message.Attachments = []Attachment{{URL: "https://x/"}, {URL: address}} }
	}
	tests := []struct {
		name   string
		kind   Kind
		change func(e *Event)
		want   *FieldError
	}{
		{"message", KindMessage, nil, nil},
		{"typing", KindTyping, nil, nil},
		{"receipt", KindReceipt, nil, nil},
		{"click", KindClick, nil, nil},
		{"close", KindClose, nil, nil},
		{"reopen", KindReopen, nil, nil},
		{"profile", KindProfile, nil, nil},
		{"rating", KindRating, nil, nil},
		{"attachment alone", KindMessage, func(e *Event) { e.Message = &Message{Attachments: []Attachment{{URL: "HTTPS://x/a?b#c"}}} }, nil},
		{"longest ids", KindMessage, func(e *Event) {
			e.ID, e.Thread, e.Consumer.ID = EventID(longest), ThreadID(longest), ConsumerID(longest)
		}, nil},
		{"ids in any script", KindMessage, func(e *Event) { e.ID, e.Thread = "évt 1", "пример" }, nil},

		{"no type", "", nil, &FieldError{"type", "is required"}},
		{"unknown type", "massage", nil, &FieldError{"type", "is not one of message, typing, receipt, click, close, reopen, profile, rating"}},
		{"state", KindState, func(e *Event) { e.State = &State{} }, &FieldError{"type", "state only goes to the channel"}},
		{"no thread", KindClose, func(e *Event) { e.Thread = "" }, &FieldError{"thread", "is required"}},
		{"no id", KindClose, func(e *Event) { e.ID = "" }, &FieldError{"id", "is required"}},
		{"long id", KindClose, func(e *Event) { e.ID = EventID(longest + "x") }, &FieldError{"id", "is longer than 512 bytes"}},
		{"long id of typing", KindTyping, func(e *Event) { e.ID = EventID(longest + "x") }, &FieldError{"id", "is longer than 512 bytes"}},
		{"zero byte", KindClose, func(e *Event) { e.Thread = "t\x00" }, &FieldError{"thread", "has control characters"}},
		{"line break", KindClose, func(e *Event) { e.ID = "a\nb" }, &FieldError{"id", "has control characters"}},
		{"invalid UTF-8", KindClose, func(e *Event) { e.Consumer.ID = "u\xff" }, &FieldError{"consumer.id", "is not valid UTF-8"}},
		{"no consumer", KindClose, func(e *Event) { e.Consumer = nil }, &FieldError{"consumer", "is required"}},
		{"no consumer id", KindClose, func(e *Event) { e.Consumer.ID = "" }, &FieldError{"consumer.id", "is required"}},
		{"agent", KindClose, func(e *Event) { e.Agent = &Agent{} }, &FieldError{"agent", "only goes to the channel"}},
		{"part of another kind", KindClose, func(e *Event) { e.Rating = &Rating{} }, &FieldError{"rating", "does not belong to an event of this type"}},
		{"state besides", KindMessage, func(e *Event) { e.State = &State{} }, &FieldError{"state", "does not belong to an event of this type"}},

		{"no message", KindMessage, func(e *Event) { e.Message = nil }, &FieldError{"message", "is required"}},
		{"empty message", KindMessage, func(e *Event) { e.Message.Text = "" }, &FieldError{"message.text", "is required when there are no attachments"}},
		{"quick replies", KindMessage, func(e *Event) { e.Message.QuickReplies = []QuickReply{{}} }, &FieldError{"message.quickReplies", "only goes to the channel"}},
		{"attachment nowhere", KindMessage, attachment(""), &FieldError{"message.attachments[1].url", "is required"}},
		{"relative attachment", KindMessage, attachment("/a.png"), &FieldError{"message.attachments[1].url", "is not an absolute http or https address"}},
		{"script", KindMessage, attachment("javascript://x/%0aalert(1)"), &FieldError{"message.attachments[1].url", "is not an absolute http or https address"}},
		{"file", KindMessage, attachment("file:///etc/passwd"), &FieldError{"message.attachments[1].url", "is not an absolute http or https address"}},
		{"broken attachment", KindMessage, attachment("https://%zz"), &FieldError{"message.attachments[1].url", "is not an absolute http or https address"}},
		{"no typing", KindTyping, func(e *Event) { e.Typing = nil }, &FieldError{"typing", "is required"}},
		{"typing device", KindTyping, func(e *Event) { e.Typing.Device = strings.Repeat("x", 513) }, &FieldError{"typing.device", "is longer than 512 bytes"}},
		{"typing state", KindTyping, func(e *Event) { e.Typing.State = "on" }, &FieldError{"typing.state", "is not one of composing, paused, stopped"}},
		{"no receipt", KindReceipt, func(e *Event) { e.Receipt = nil }, &FieldError{"receipt", "is required"}},
		{"receipt status", KindReceipt, func(e *Event) { e.Receipt.Status = "" }, &FieldError{"receipt.status", "is not one of delivered, read"}},
		{"failed receipt", KindReceipt, func(e *Event) { e.Receipt.Status = ReceiptFailed }, &FieldError{"receipt.status", "failed only goes to the channel"}},
		{"receipt of nothing", KindReceipt, func(e *Event) { e.Receipt.MessageIDs = nil }, &FieldError{"receipt.messageIds", "is required"}},
		{"receipt of much", KindReceipt, func(e *Event) { e.Receipt.MessageIDs = make([]EventID, 1001) }, &FieldError{"receipt.messageIds", "names more than 1000 messages"}},
		{"receipt of an empty id", KindReceipt, func(e *Event) { e.Receipt.MessageIDs = []EventID{"a", ""} }, &FieldError{"receipt.messageIds[1]", "is required"}},
		{"no click", KindClick, func(e *Event) { e.Click = nil }, &FieldError{"click", "is required"}},
		{"click on no message", KindClick, func(e *Event) { e.Click.MessageID = "" }, &FieldError{"click.messageId", "is required"}},
		{"click on no reply", KindClick, func(e *Event) { e.Click.ReplyID = "" }, &FieldError{"click.replyId", "is required"}},
		{"no rating", KindRating, func(e *Event) { e.Rating = nil }, &FieldError{"rating", "is required"}},
		{"low score", KindRating, func(e *Event) { e.Rating.Score = 0 }, &FieldError{"rating.score", "is not between 1 and 5"}},
		{"high score", KindRating, func(e *Event) { e.Rating.Score = 6 }, &FieldError{"rating.score", "is not between 1 and 5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := good(tt.kind)
			if tt.change != nil {
				tt.change(&e)
			}
			got, _ := errors.AsType[*FieldError](e.Validate())
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Validate (-want +got):\n%s", diff)
			}
		})
	}
}
