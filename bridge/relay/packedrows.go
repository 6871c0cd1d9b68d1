package relay

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"

	"lpbridge/bridge"
)

// How rows are packed. The form is of no use outside this process.

// Forms of a text, of which the second and third take half the bytes: LivePerson's
// ids are UUIDs, and an ext_consumer_id of ours ends in 40 hexadecimal digits.
const (
	plainText = iota
	uuidText
	hexText
	textForms
)

const (
	hexDigits  = 40
	uuidDigits = 36
	uuidBytes  = 16
)

// appendText packs a text.
func appendText(b []byte, text string) []byte {
	if len(text) == uuidDigits {
		if id, err := uuid.Parse(text); err == nil && id.String() == text {
			return append(append(b, uuidText), id[:]...)
		}
	}
	if front := len(text) - hexDigits; front >= 0 {
		var raw [hexDigits / 2]byte
		if _, err := hex.Decode(raw[:], []byte(text[front:])); err == nil && hex.EncodeToString(raw[:]) == text[front:] {
			b = binary.AppendUvarint(b, uint64(front*textForms+hexText))
			return append(append(b, text[:front]...), raw[:]...)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(text)*textForms+plainText))
	return append(b, text...)
}

// unpacker reads what was packed, from the front.
type unpacker []byte

func (u *unpacker) takeNumber() uint64 {
	n, size := binary.Uvarint(*u)
	*u = (*u)[size:]
	return n
}

func (u *unpacker) take(n int) []byte {
	taken := (*u)[:n]
	*u = (*u)[n:]
	return taken
}

func (u *unpacker) takeText() string {
	head := u.takeNumber()
	size := int(head / textForms)
	switch head % textForms {
	case uuidText:
		return uuid.UUID(u.take(uuidBytes)).String()
	case hexText:
		var b strings.Builder
		b.Grow(size + hexDigits)
		b.Write(u.take(size))
		b.WriteString(hex.EncodeToString(u.take(hexDigits / 2)))
		return b.String()
	default:
		return string(u.take(size))
	}
}

func packThreadKey(b []byte, key bridge.ThreadKey) []byte {
	return append(appendText(b, key.Channel), key.Thread...)
}

func packThread(b []byte, t *bridge.Thread) []byte {
	for _, text := range [...]string{string(t.Consumer), t.ExtConsumer, t.LPConsumer, t.Conversation} {
		b = appendText(b, text)
	}
	return b
}

func unpackThread(b []byte, key bridge.ThreadKey) *bridge.Thread {
	u := unpacker(b)
	return &bridge.Thread{
		Channel: key.Channel, ID: key.Thread,
		Consumer: bridge.ConsumerID(u.takeText()), ExtConsumer: u.takeText(), LPConsumer: u.takeText(), Conversation: u.takeText(),
	}
}

func packConversationKey(b []byte, id string) []byte { return appendText(b, id) }

// What is packed of a conversation in one bit each: that a dialog has the
// conversation's own id, as the main one has, takes no text.
const (
	openBit = 1 << iota
	announcedBit
	mainBit
	onlyMainBit
	beganBit
	endedBit
)

func packConversation(b []byte, c *bridge.Conversation) []byte {
	var bits uint64
	for _, bit := range [...]struct {
		set  bool
		mask uint64
	}{
		{c.Open, openBit}, {c.Announced, announcedBit}, {c.Dialog == c.ID, mainBit},
		{len(c.Dialogs) == 1 && c.Dialogs[0] == c.ID, onlyMainBit}, {!c.Began.IsZero(), beganBit}, {!c.Ended.IsZero(), endedBit},
	} {
		if bit.set {
			bits |= bit.mask
		}
	}
	b = binary.AppendUvarint(b, bits)
	for _, text := range [...]string{c.Channel, string(c.Thread), c.ExtConsumer, c.LPConsumer, c.Survey, c.Joined} {
		b = appendText(b, text)
	}
	if bits&mainBit == 0 {
		b = appendText(b, c.Dialog)
	}
	if bits&onlyMainBit == 0 {
		b = binary.AppendUvarint(b, uint64(len(c.Dialogs)))
		for _, dialog := range c.Dialogs {
			b = appendText(b, dialog)
		}
	}
	b = binary.AppendUvarint(b, uint64(c.Updated))
	for _, at := range [...]time.Time{c.Began, c.Ended} {
		if !at.IsZero() {
			b = binary.AppendUvarint(b, uint64(at.UnixMicro()))
		}
	}
	return b
}

func unpackConversation(b []byte, id string) *bridge.Conversation {
	u := unpacker(b)
	bits := u.takeNumber()
	c := &bridge.Conversation{
		ID: id, Open: bits&openBit != 0, Announced: bits&announcedBit != 0,
		Channel: u.takeText(), Thread: bridge.ThreadID(u.takeText()), ExtConsumer: u.takeText(), LPConsumer: u.takeText(),
		Survey: u.takeText(), Joined: u.takeText(), Dialog: id,
	}
	if bits&mainBit == 0 {
		c.Dialog = u.takeText()
	}
	if bits&onlyMainBit != 0 {
		c.Dialogs = []string{id}
	} else {
		for range u.takeNumber() {
			c.Dialogs = append(c.Dialogs, u.takeText())
		}
	}
	c.Updated = int64(u.takeNumber())
	if bits&beganBit != 0 {
		c.Began = u.takeTime()
	}
	if bits&endedBit != 0 {
		c.Ended = u.takeTime()
	}
	return c
}

func (u *unpacker) takeTime() time.Time { return time.UnixMicro(int64(u.takeNumber())).UTC() }
