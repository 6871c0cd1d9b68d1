package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ParseNotification decodes the body of a webhook, after its signature was
// verified. It takes what other clients and LivePerson's older payloads do with
// JSON: numbers in any spelling, types in any case, ids as numbers, times that are none, bytes that
// are no UTF-8, which become U+FFFD. Types it does not know are kept, not refused;
// an error means that the body is not a notification at all, and names the field
// that is wrong. It never quotes the body.
func ParseNotification(body []byte) (Notification, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	var envelope struct {
		Type loose           `json:"type"`
		Body json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, parseError(err)
	}
	switch kind := strings.TrimSpace(string(envelope.Type)); {
	case strings.EqualFold(kind, "ms.MessagingEventNotification"):
		return parseMessaging(envelope.Body)
	case strings.EqualFold(kind, "cqm.ExConversationChangeNotification"):
		return parseConversations(envelope.Body)
	}
	return &UnknownNotification{Type: string(envelope.Type), Body: envelope.Body}, nil
}

// parseError says what is wrong without quoting what was sent, which may be a
// person's words.
func parseError(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("notification: field %q is of the wrong type", kind.Field)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("notification: not json at byte %d", syntax.Offset)
	}
	return errors.New("notification: not the expected json")
}

// decodeEach decodes the changes one by one, so that an odd one does not take
// the others with it.
func decodeEach[T any](raws []json.RawMessage) (decoded []decodedChange[T], unreadable []*UnreadableChange) {
	for i, raw := range raws {
		change := new(T)
		if err := json.Unmarshal(raw, change); err != nil {
			unreadable = append(unreadable, &UnreadableChange{Index: i, Raw: raw, Err: parseError(err)})
			continue
		}
		decoded = append(decoded, decodedChange[T]{change, raw})
	}
	return decoded, unreadable
}

// decodedChange is a change and what it was decoded from.
type decodedChange[T any] struct {
	wire *T
	raw  json.RawMessage
}

type wireMessagingChange struct {
	Sequence           whole           `json:"sequence"`
	OriginatorID       loose           `json:"originatorId"`
	OriginatorMetadata wireOriginator  `json:"originatorMetadata"`
	ServerTimestamp    whole           `json:"serverTimestamp"`
	Event              json.RawMessage `json:"event"`
	ConversationID     loose           `json:"conversationId"`
	DialogID           loose           `json:"dialogId"`
	Metadata           json.RawMessage `json:"metadata"`
	MessageAudience    audience        `json:"messageAudience"`
}

func parseMessaging(body json.RawMessage) (Notification, error) {
	var wire struct {
		DialogID loose                      `json:"dialogId"`
		Changes  oneOrMany[json.RawMessage] `json:"changes"`
	}
	if err := json.Unmarshal(orNull(body), &wire); err != nil {
		return nil, parseError(err)
	}
	changes, unreadable := decodeEach[wireMessagingChange](wire.Changes)
	n := &MessagingEventNotification{Changes: make([]MessagingChange, 0, len(changes)), Unreadable: unreadable}
	for _, c := range changes {
		if c.wire.DialogID == "" {
			c.wire.DialogID = wire.DialogID
		}
		change := c.wire.change()
		change.Raw = c.raw
		n.Changes = append(n.Changes, change)
	}
	inSequence(n.Changes)
	return n, nil
}

// inSequence puts the events of each dialog that have a sequence in order, on the
// indices such events have; the others stay where they are.
func inSequence(changes []MessagingChange) {
	indices := make(map[DialogID][]int)
	for i := range changes {
		if changes[i].Sequence != NoSequence {
			indices[changes[i].DialogID] = append(indices[changes[i].DialogID], i)
		}
	}
	for _, at := range indices {
		sorted := make([]MessagingChange, 0, len(at))
		for _, i := range at {
			sorted = append(sorted, changes[i])
		}
		slices.SortStableFunc(sorted, func(a, b MessagingChange) int { return int(max(-1, min(1, a.Sequence-b.Sequence))) })
		for n, i := range at {
			changes[i] = sorted[n]
		}
	}
}

func (w *wireMessagingChange) change() MessagingChange {
	c := MessagingChange{
		Sequence: NoSequence, OriginatorID: string(w.OriginatorID), OriginatorRole: string(w.OriginatorMetadata.Role),
		ServerTimestamp: w.ServerTimestamp.time(), ConversationID: ConversationID(w.ConversationID), DialogID: DialogID(w.DialogID),
		Event: parseEvent(w.Event), Metadata: notNull(w.Metadata), MessageAudience: string(w.MessageAudience),
	}
	if w.Sequence.known && w.Sequence.n >= 0 {
		c.Sequence = Sequence(w.Sequence.n)
	}
	if c.OriginatorID == "" {
		c.OriginatorID = string(w.OriginatorMetadata.ID)
	}
	switch {
	case c.ConversationID == "":
		c.ConversationID, c.Guessed = ConversationID(c.DialogID), true
	case c.DialogID == "":
		c.DialogID = DialogID(c.ConversationID)
	}
	return c
}

type wireConversationChange struct {
	Type   loose `json:"type"`
	Result struct {
		ConvID              loose `json:"convId"`
		ConversationDetails struct {
			SkillID      loose                  `json:"skillId"`
			BrandID      loose                  `json:"brandId"`
			State        loose                  `json:"state"`
			Stage        loose                  `json:"stage"`
			CloseReason  loose                  `json:"closeReason"`
			Participants participants           `json:"participants"`
			Dialogs      oneOrMany[*wireDialog] `json:"dialogs"`
			StartTs      whole                  `json:"startTs"`
			EndTs        whole                  `json:"endTs"`
			LastUpdate   whole                  `json:"metaDataLastUpdateTs"`
		} `json:"conversationDetails"`
	} `json:"result"`
}

type wireDialog struct {
	DialogID            loose        `json:"dialogId"`
	DialogType          loose        `json:"dialogType"`
	ChannelType         loose        `json:"channelType"`
	State               loose        `json:"state"`
	ParticipantsDetails participants `json:"participantsDetails"`
	ClosedBy            loose        `json:"closedBy"`
	ClosedCause         loose        `json:"closedCause"`
	CreationTs          whole        `json:"creationTs"`
	EndTs               whole        `json:"endTs"`
}

func parseConversations(body json.RawMessage) (Notification, error) {
	var wire struct {
		Changes oneOrMany[json.RawMessage] `json:"changes"`
	}
	if err := json.Unmarshal(orNull(body), &wire); err != nil {
		return nil, parseError(err)
	}
	changes, unreadable := decodeEach[wireConversationChange](wire.Changes)
	n := &ExConversationChangeNotification{Changes: make([]ConversationChange, 0, len(changes)), Unreadable: unreadable}
	for _, c := range changes {
		change := c.wire.change()
		change.Raw = c.raw
		n.Changes = append(n.Changes, change)
	}
	return n, nil
}

func (w *wireConversationChange) change() ConversationChange {
	d := &w.Result.ConversationDetails
	c := ConversationChange{
		Type: string(w.Type), ConversationID: ConversationID(w.Result.ConvID), BrandID: AccountID(d.BrandID), SkillID: string(d.SkillID),
		State: string(d.State), Stage: string(d.Stage), CloseReason: string(d.CloseReason), Participants: d.Participants,
		StartTime: d.StartTs.time(), EndTime: d.EndTs.time(), LastUpdate: d.LastUpdate.epoch(),
	}
	for _, dialog := range d.Dialogs {
		if dialog == nil {
			continue
		}
		c.Dialogs = append(c.Dialogs, Dialog{
			DialogID: DialogID(dialog.DialogID), DialogType: string(dialog.DialogType), ChannelType: string(dialog.ChannelType),
			State: string(dialog.State), Participants: dialog.ParticipantsDetails,
			ClosedBy: string(dialog.ClosedBy), ClosedCause: string(dialog.ClosedCause),
			StartTime: dialog.CreationTs.time(), EndTime: dialog.EndTs.time(),
		})
	}
	return c
}

// participants is a list, or in LivePerson's older form ids by role.
type participants []Participant

// UnmarshalJSON takes both forms, and a single participant bare.
func (p *participants) UnmarshalJSON(raw []byte) error {
	var byRole map[string]oneOrMany[loose]
	if json.Unmarshal(raw, &byRole) == nil && byRole["id"] == nil {
		*p = nil
		for role, ids := range byRole {
			for _, id := range ids {
				*p = append(*p, Participant{ID: string(id), Role: role})
			}
		}
		slices.SortFunc(*p, func(a, b Participant) int {
			return slices.Compare([]string{a.Role, a.ID}, []string{b.Role, b.ID})
		})
		return nil
	}
	var list oneOrMany[struct{ ID, Role, State loose }]
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	*p = nil
	for _, one := range list {
		*p = append(*p, Participant{ID: string(one.ID), Role: string(one.Role), State: string(one.State)})
	}
	return nil
}

// LivePerson's clock counts milliseconds. A time outside of these bounds is in
// another unit or none at all, and is taken as not given: the next reader may not
// be able to write it down.
var (
	firstTime = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// epoch is a time in milliseconds, zero when there is none.
func (w whole) epoch() int64 {
	if !w.known || w.n < firstTime.UnixMilli() || w.n > lastTime.UnixMilli() {
		return 0
	}
	return w.n
}

func (w whole) time() time.Time {
	if w.epoch() == 0 {
		return time.Time{}
	}
	return time.UnixMilli(w.n).UTC()
}

func orNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

func notNull(raw json.RawMessage) json.RawMessage {
	if string(raw) == "null" {
		return nil
	}
	return raw
}
