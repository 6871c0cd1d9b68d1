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
	e.Type = string(wire.Type)
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
		e.ChatState = ChatState(wire.ChatState)
	case TypeAcceptStatusEvent:
		if e.Status = AcceptStatus(wire.Status); e.Status == viewed {
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

// viewed is what some clients send when a message was seen.
const viewed AcceptStatus = "VIEWED"

// mediaType is a content type in lower case, without parameters such as charset.
func mediaType(contentType string) string {
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
	if (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text)) {
		return json.RawMessage(text)
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
	case e.ContentType == ContentTypeFile:
		e.readFiles(message)
	case e.ContentType == ContentTypeExternalFile:
		e.readExternalFiles(message)
	case e.ContentType == ContentTypeFormInvitation, e.ContentType == ContentTypeFormSubmission:
		e.readForm(message)
	}
}

// textOf is a string, a number somebody forgot to quote, or what an object says.
func textOf(message json.RawMessage) string {
	var text loose
	_ = json.Unmarshal(orNull(message), &text)
	if text != "" || !isObject(message) {
		return string(text)
	}
	var said struct {
		Text    loose `json:"text"`
		Message loose `json:"message"`
	}
	_ = json.Unmarshal(message, &said)
	return first(said.Text, said.Message)
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

func (e *MessagingEvent) readFiles(message json.RawMessage) {
	var list forgiving[struct {
		Caption      loose `json:"caption"`
		RelativePath loose `json:"relativePath"`
		FileType     loose `json:"fileType"`
		Preview      loose `json:"preview"`
	}]
	_ = json.Unmarshal(orNull(unquoted(message)), &list)
	for _, f := range list {
		if f.RelativePath != "" {
			e.Files = append(e.Files, ReceivedFile{string(f.Caption), string(f.RelativePath), string(f.FileType), string(f.Preview)})
		}
	}
	if len(e.Files) > 0 {
		e.File = &e.Files[0]
	}
}

func (e *MessagingEvent) readExternalFiles(message json.RawMessage) {
	var list forgiving[json.RawMessage]
	_ = json.Unmarshal(orNull(unquoted(message)), &list)
	for _, raw := range list {
		file := ExternalFile{URL: textOf(raw)}
		var named struct {
			URL      loose `json:"url"`
			FileURL  loose `json:"fileUrl"`
			Link     loose `json:"link"`
			Caption  loose `json:"caption"`
			Title    loose `json:"title"`
			Name     loose `json:"name"`
			FileName loose `json:"fileName"`
			FileType loose `json:"fileType"`
		}
		if json.Unmarshal(raw, &named) == nil {
			file = ExternalFile{first(named.URL, named.FileURL, named.Link), first(named.Caption, named.Title, named.Name, named.FileName), string(named.FileType)}
		}
		if file.URL != "" {
			e.ExternalFiles = append(e.ExternalFiles, file)
		}
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
