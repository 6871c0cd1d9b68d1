package connector

import (
	"bytes"
	"encoding/json"
	"mime"
	"strings"
)

// parseEvent never fails: what it cannot make sense of stays in Raw.
func parseEvent(raw json.RawMessage) MessagingEvent {
	e := MessagingEvent{Raw: raw}
	var wire struct {
		Type         loose             `json:"type"`
		ContentType  loose             `json:"contentType"`
		Message      json.RawMessage   `json:"message"`
		Content      json.RawMessage   `json:"content"`
		QuickReplies json.RawMessage   `json:"quickReplies"`
		ChatState    loose             `json:"chatState"`
		Status       loose             `json:"status"`
		SequenceList forgiving[*whole] `json:"sequenceList"`
	}
	if json.Unmarshal(orNull(raw), &wire) != nil {
		return e
	}
	e.Type = canonical(string(wire.Type))
	switch e.Type {
	case TypeContentEvent:
		e.ContentType, e.QuickReplies = mediaType(string(wire.ContentType)), unquoted(wire.QuickReplies)
		e.readMessage(wire.Message)
	case TypeRichContentEvent:
		e.QuickReplies = unquoted(wire.QuickReplies)
		// Agents send content; LivePerson's schema has message.
		if e.RichContent = unquoted(wire.Content); e.RichContent == nil {
			e.RichContent = unquoted(wire.Message)
		}
	case TypeChatStateEvent:
		e.ChatState = ChatState(strings.ToUpper(string(wire.ChatState)))
	case TypeAcceptStatusEvent:
		if e.Status = AcceptStatus(strings.ToUpper(string(wire.Status))); e.Status == viewed {
			e.Status = Read
		}
		for _, n := range wire.SequenceList {
			if n != nil && n.known && n.n >= 0 {
				e.SequenceList = append(e.SequenceList, Sequence(n.n))
			}
		}
	}
	return e
}

// canonical is the name of a type we know as LivePerson spells it, and any other as
// it came.
func canonical(name string) string {
	for _, known := range []string{TypeContentEvent, TypeRichContentEvent, TypeChatStateEvent, TypeAcceptStatusEvent} {
		if strings.EqualFold(strings.TrimSpace(name), known) {
			return known
		}
	}
	return name
}

// viewed is what some clients send when a message was seen.
const viewed AcceptStatus = "VIEWED"

// mediaType is a content type in lower case, without parameters such as charset.
func mediaType(contentType string) string {
	if contentType == ContentTypeText {
		return contentType
	}
	if kind, _, err := mime.ParseMediaType(contentType); err == nil {
		return kind
	}
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// unquoted gives structured content that may come as a string of JSON ("Consumer
// Messaging History" page). It is nil when there is none.
func unquoted(raw json.RawMessage) json.RawMessage {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return raw
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	if inner, ok := unwrapped(text); ok && json.Valid([]byte(inner)) {
		return json.RawMessage(inner)
	}
	return raw
}

// readMessage decodes a content by its content type, and by its look where that
// is missing.
func (e *MessagingEvent) readMessage(message json.RawMessage) {
	switch {
	case e.ContentType == "":
		if e.Text = textOf(message); e.Text != "" {
			e.ContentType = ContentTypeText
		}
	case e.ContentType == ContentTypeHTML:
		e.Text = wordsOfHTML(textOf(message))
	case strings.HasPrefix(e.ContentType, "text/"):
		e.Text = textOf(message)
	case e.ContentType == ContentTypeFile, e.ContentType == ContentTypeExternalFile:
		e.readFiles(message)
	case e.ContentType == ContentTypeFormInvitation, e.ContentType == ContentTypeFormSubmission:
		e.readForm(message)
	}
}

// textOf is a string, a number somebody forgot to quote, what an object says, or a
// line for each of several.
func textOf(message json.RawMessage) string {
	raw := bytes.TrimSpace(message)
	if inner, plain := plainString(raw); plain && raw[0] == '"' {
		return string(inner)
	}
	var text loose
	_ = json.Unmarshal(orNull(message), &text)
	switch {
	case text != "" || len(raw) == 0:
		return string(text)
	case raw[0] == '{':
		var said struct {
			Text    loose `json:"text"`
			Message loose `json:"message"`
		}
		_ = json.Unmarshal(raw, &said)
		return first(said.Text, said.Message)
	case raw[0] == '[':
		var lines forgiving[loose]
		_ = json.Unmarshal(raw, &lines)
		return joinedLines(lines)
	}
	return ""
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

func joinedLines(lines []loose) string {
	var all []string
	for _, line := range lines {
		if line != "" {
			all = append(all, string(line))
		}
	}
	return strings.Join(all, "\n")
}

// wireFile is a file of LivePerson's storage, or one that lies elsewhere, under the
// names that LivePerson's "File Sharing" page has for the former and clients use for
// the latter. Which of them it is, its address says.
type wireFile struct {
	RelativePath loose `json:"relativePath"`
	URL          loose `json:"url"`
	FileURL      loose `json:"fileUrl"`
	Link         loose `json:"link"`
	URI          loose `json:"uri"`
	Href         loose `json:"href"`
	Caption      loose `json:"caption"`
	Title        loose `json:"title"`
	Name         loose `json:"name"`
	FileName     loose `json:"fileName"`
	FileType     loose `json:"fileType"`
	Preview      loose `json:"preview"`
	// File is what is around it in some clients.
	File json.RawMessage `json:"file"`
}

func (f *wireFile) address() string { return first(f.URL, f.FileURL, f.Link, f.URI, f.Href) }

func (f *wireFile) caption() string { return first(f.Caption, f.Title, f.Name, f.FileName) }

// readFiles reads hosted and external files alike. An external one may be its address
// alone.
func (e *MessagingEvent) readFiles(message json.RawMessage) {
	var list forgiving[json.RawMessage]
	_ = json.Unmarshal(orNull(unquoted(message)), &list)
	for _, raw := range list {
		var f wireFile
		if json.Unmarshal(raw, &f) != nil {
			var address loose
			_ = json.Unmarshal(raw, &address)
			f = wireFile{URL: address}
		}
		if within := f.File; len(within) > 0 {
			f.File = nil
			// What it lacks, that around it has.
			_ = json.Unmarshal(within, &f)
		}
		switch {
		case f.RelativePath != "":
			e.Files = append(e.Files, ReceivedFile{f.caption(), string(f.RelativePath), string(f.FileType), string(f.Preview)})
		case f.address() != "" && (e.ContentType == ContentTypeExternalFile || isObject(raw)):
			e.ExternalFiles = append(e.ExternalFiles, ExternalFile{f.address(), f.caption(), string(f.FileType)})
		}
	}
	if len(e.Files) > 0 {
		e.File = &e.Files[0]
	}
}

func first(values ...loose) string {
	for _, v := range values {
		if v != "" {
			return string(v)
		}
	}
	return ""
}

func (e *MessagingEvent) readForm(message json.RawMessage) {
	var form struct {
		InvitationID loose `json:"invitationId"`
		FormID       loose `json:"formId"`
		Title        loose `json:"title"`
	}
	_ = json.Unmarshal(orNull(unquoted(message)), &form)
	e.Form = &SecureForm{string(form.InvitationID), string(form.FormID), string(form.Title), e.ContentType == ContentTypeFormSubmission}
}
