package bridge

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIDLength is the longest thread, event or consumer id we take, in bytes.
// It keeps a hostile sender from filling indexes with one request.
const maxIDLength = 512

// maxReceiptIDs is the most messages one receipt may name.
const maxReceiptIDs = 1000

// Validate reports the first field that is missing or wrong as a *[FieldError],
// for events in the direction ToLivePerson.
func (e *Event) Validate() error {
	if err := e.validateIdentity(); err != nil {
		return err
	}
	if err := validateKind(e.Kind); err != nil {
		return err
	}
	if err := e.validateParts(); err != nil {
		return err
	}
	switch e.Kind {
	case KindMessage:
		return e.Message.validate()
	case KindTyping:
		return e.Typing.validate()
	case KindReceipt:
		return e.Receipt.validate()
	case KindClick:
		return e.Click.validate()
	case KindRating:
		return e.Rating.validate()
	}
	return nil
}

func validateKind(k Kind) error {
	switch k {
	case KindMessage, KindTyping, KindReceipt, KindClick, KindClose, KindReopen, KindProfile, KindRating:
		return nil
	case "":
		return &FieldError{"type", "is required"}
	case KindState:
		return &FieldError{"type", "state only goes to the channel"}
	}
	return &FieldError{"type", "is not one of message, typing, receipt, click, close, reopen, profile, rating"}
}

// validateParts refuses a part the kind has no use for: it would be lost
// without a word, and most likely the type is wrong.
func (e *Event) validateParts() error {
	parts := [...]struct {
		kind Kind
		set  bool
	}{
		{KindMessage, e.Message != nil},
		{KindTyping, e.Typing != nil},
		{KindReceipt, e.Receipt != nil},
		{KindClick, e.Click != nil},
		{KindRating, e.Rating != nil},
		{KindState, e.State != nil},
	}
	for _, p := range parts {
		if p.set && p.kind != e.Kind {
			return &FieldError{string(p.kind), "does not belong to an event of this type"}
		}
	}
	if e.Agent != nil {
		return &FieldError{"agent", "only goes to the channel"}
	}
	return nil
}

func (e *Event) validateIdentity() error {
	if e.Position != nil {
		return &FieldError{"liveperson", "is set by the bridge only"}
	}
	if err := validateID("thread", string(e.Thread)); err != nil {
		return err
	}
	if e.Kind != KindTyping || e.ID != "" {
		if err := validateID("id", string(e.ID)); err != nil {
			return err
		}
	}
	if e.Inbox != "" {
		if err := validateID("inbox", e.Inbox); err != nil {
			return err
		}
	}
	if e.Consumer == nil {
		return &FieldError{"consumer", "is required"}
	}
	if e.Consumer.Apart != "" {
		if err := validateID("consumer.apart", string(e.Consumer.Apart)); err != nil {
			return err
		}
	}
	return validateID("consumer.id", string(e.Consumer.ID))
}

func validateID(field, id string) error {
	switch {
	case id == "":
		return &FieldError{field, "is required"}
	case len(id) > maxIDLength:
		return &FieldError{field, "is longer than " + strconv.Itoa(maxIDLength) + " bytes"}
	case strings.ContainsFunc(id, unicode.IsControl):
		return &FieldError{field, "has control characters"}
	case !utf8.ValidString(id):
		return &FieldError{field, "is not valid UTF-8"}
	}
	return nil
}

func (m *Message) validate() error {
	if m == nil {
		return &FieldError{"message", "is required"}
	}
	for i := range m.Attachments {
		if reason := validateURL(m.Attachments[i].URL); reason != "" {
			return &FieldError{"message.attachments[" + strconv.Itoa(i) + "].url", reason}
		}
	}
	switch {
	case m.QuickReplies != nil:
		return &FieldError{"message.quickReplies", "only goes to the channel"}
	case m.Rich != nil:
		return &FieldError{"message.rich", "only goes to the channel"}
	case m.Survey:
		return &FieldError{"message.survey", "only goes to the channel"}
	}
	if m.Text == "" && len(m.Attachments) == 0 {
		return &FieldError{"message.text", "is required when there are no attachments"}
	}
	return nil
}

// validateURL says what is wrong with the address of a file. Agents are shown
// it, so nothing but a web page may come of it.
func validateURL(address string) string {
	if address == "" {
		return "is required"
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "is not an absolute http or https address"
	}
	return ""
}

func (t *Typing) validate() error {
	if t == nil {
		return &FieldError{"typing", "is required"}
	}
	if t.Device != "" {
		if err := validateID("typing.device", t.Device); err != nil {
			return err
		}
	}
	switch t.State {
	case Composing, Paused, Stopped:
		return nil
	}
	return &FieldError{"typing.state", "is not one of composing, paused, stopped"}
}

func (r *Receipt) validate() error {
	if r == nil {
		return &FieldError{"receipt", "is required"}
	}
	if r.Status == ReceiptFailed {
		return &FieldError{"receipt.status", "failed only goes to the channel"}
	}
	if r.Status != ReceiptDelivered && r.Status != ReceiptRead {
		return &FieldError{"receipt.status", "is not one of delivered, read"}
	}
	if len(r.MessageIDs) == 0 {
		return &FieldError{"receipt.messageIds", "is required"}
	}
	if len(r.MessageIDs) > maxReceiptIDs {
		return &FieldError{"receipt.messageIds", "names more than " + strconv.Itoa(maxReceiptIDs) + " messages"}
	}
	for i, id := range r.MessageIDs {
		if err := validateID("receipt.messageIds["+strconv.Itoa(i)+"]", string(id)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Click) validate() error {
	if c == nil {
		return &FieldError{"click", "is required"}
	}
	if err := validateID("click.messageId", string(c.MessageID)); err != nil {
		return err
	}
	return validateID("click.replyId", c.ReplyID)
}

func (r *Rating) validate() error {
	if r == nil {
		return &FieldError{"rating", "is required"}
	}
	if r.Score < 1 || r.Score > 5 {
		return &FieldError{"rating.score", "is not between 1 and 5"}
	}
	if len(r.Conversation) > maxIDLength {
		return &FieldError{"rating.conversationId", "is longer than " + strconv.Itoa(maxIDLength) + " bytes"}
	}
	return nil
}
