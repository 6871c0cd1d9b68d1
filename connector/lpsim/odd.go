package lpsim

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// disfigure spells a change in a way that LivePerson's pages, or clients in the wild, show beside the usual.
func (f *inForce) disfigure(kind EventType, change []byte) []byte {
	if kind == ConversationEvents {
		if f.drawAlone(rollNulls, f.NullFieldsRate) {
			change = nullConversationFields(change)
		}
		return change
	}
	var edits []func(members)
	add := func(yes bool, edit func(members)) {
		if yes {
			edits = append(edits, edit)
		}
	}
	add(f.drawAlone(rollOriginator, f.OmitOriginatorRate), func(m members) { delete(m, "originatorMetadata") })
	add(kind == AcceptStatusEvents && f.drawAlone(rollReceiptNumber, f.OmitReceiptNumberRate), func(m members) { delete(m, "sequence") })
	add(f.drawAlone(rollOddTimestamp, f.OddTimestampRate), f.oddTimestamp)
	add(f.drawAlone(rollOddNumber, f.OddNumberRate), f.oddNumbers)
	add(f.drawAlone(rollNulls, f.NullFieldsRate), nullMessagingFields)
	add(kind == RichContentEvents && f.drawAlone(rollRichAsText, f.RichAsTextRate), richAsText)
	if len(edits) > 0 {
		change = edited(change, edits)
	}
	if (kind == ContentEvents || kind == RichContentEvents) && f.drawAlone(rollInvalidUTF8, f.InvalidUTF8Rate) {
		change = invalidUTF8(change)
	}
	return change
}

// members are those of a JSON object; their order is lost, which JSON allows.
type members map[string]json.RawMessage

func edited(object []byte, edits []func(members)) []byte {
	var m members
	if json.Unmarshal(object, &m) != nil {
		return object
	}
	for _, edit := range edits {
		edit(m)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return object
	}
	return data
}

func (f *inForce) oddTimestamp(m members) {
	ms, err := strconv.ParseInt(string(m["serverTimestamp"]), 10, 64)
	if err != nil {
		return
	}
	forms := []string{
		strconv.FormatInt(ms*1000, 10), strconv.FormatInt(ms*1000, 10) + ".5", strconv.FormatInt(ms/1000, 10),
		`"2018-06-07T11:19:59.686Z"`, `"` + strconv.FormatInt(ms, 10) + `"`, "-1", "1e300", "{}",
	}
	m["serverTimestamp"] = json.RawMessage(forms[int(f.roll(rollOddTimestampForm, "")*float64(len(forms)))])
}

// oddNumbers spells whole numbers in the other ways JSON, and loosely typed programs, know.
func (f *inForce) oddNumbers(m members) {
	form := int(f.roll(rollOddNumberForm, "") * 4)
	spell := func(n string) string {
		if strings.Trim(n, "0123456789") != "" {
			return n
		}
		return []string{n + ".0", `"` + n + `"`, n + "e0", n + "0e-1"}[form]
	}
	for _, name := range []string{"sequence", "serverTimestamp"} {
		if n, ok := m[name]; ok {
			m[name] = json.RawMessage(spell(string(n)))
		}
	}
	var event members
	var list []json.RawMessage
	if json.Unmarshal(m["event"], &event) != nil || json.Unmarshal(event["sequenceList"], &list) != nil || len(list) == 0 {
		return
	}
	for i := range list {
		list[i] = json.RawMessage(spell(string(list[i])))
	}
	event["sequenceList"], _ = json.Marshal(list)
	m["event"], _ = json.Marshal(event)
}

func nullMessagingFields(m members) {
	for _, name := range []string{"sequence", "serverTimestamp", "metadata", "messageAudience", "conversationId", "originatorMetadata"} {
		if _, ok := m[name]; !ok {
			m[name] = json.RawMessage("null")
		}
	}
	var event members
	if json.Unmarshal(m["event"], &event) == nil && event["quickReplies"] == nil {
		event["quickReplies"] = json.RawMessage("null")
		m["event"], _ = json.Marshal(event)
	}
}

func nullConversationFields(change []byte) []byte {
	return edited(change, []func(members){func(m members) {
		var result, details members
		if json.Unmarshal(m["result"], &result) != nil || json.Unmarshal(result["conversationDetails"], &details) != nil {
			return
		}
		for _, name := range []string{"dialogs", "stage", "closeReason", "endTs", "csat", "campaignInfo", "delay", "note", "context"} {
			if _, ok := details[name]; !ok {
				details[name] = json.RawMessage("null")
			}
		}
		result["conversationDetails"], _ = json.Marshal(details)
		m["result"], _ = json.Marshal(result)
	}})
}

func richAsText(m members) {
	var event members
	if json.Unmarshal(m["event"], &event) != nil || !isObject(event["content"]) {
		return
	}
	event["content"], _ = json.Marshal(string(event["content"]))
	m["event"], _ = json.Marshal(event)
}

// invalidUTF8 puts the byte E9, an é in Latin-1, before the first words of a content.
func invalidUTF8(change []byte) []byte {
	for _, name := range []string{`"message":"`, `"text":"`, `"title":"`} {
		if before, after, ok := bytes.Cut(change, []byte(name)); ok {
			return bytes.Join([][]byte{before, []byte(name), {0xE9}, after}, nil)
		}
	}
	return change
}
