package layer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
	"github.com/google/uuid"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// reading is what was read of a message's parts so far.
type reading struct {
	message *bridge.Message
	// root is the text of the root part of a type of Layer's, status what a
	// response says of itself; both go before plain text.
	root, status string
	// clicks are what the message chose in messages of agents.
	clicks []chosen
	// stored are pictures that came within the message.
	stored []served.Thing
	// answered are messages whose summaries changed with it.
	answered []*message
}

// chosen is one thing chosen in an agent's message.
type chosen struct {
	message *message
	choice  string
	said    string
}

// takeParts checks the parts of a message, puts them into m, and returns what
// agents get of them.
func (h *history) takeParts(ctx context.Context, t *transaction, m *message, parts []partRequest) (*reading, error) {
	if len(parts) == 0 {
		return nil, missingProperty("parts")
	}
	if len(parts) > maxParts {
		return nil, invalidProperty("parts", "are more than "+strconv.Itoa(maxParts))
	}
	r := &reading{message: &bridge.Message{}}
	for i := range parts {
		field := "parts[" + strconv.Itoa(i) + "]"
		p, err := checkPart(m, &parts[i], field)
		if err != nil {
			return nil, err
		}
		var rich *content
		if p.Content != "" {
			if rich, err = h.uploaded(ctx, m.Owner, p.Content, field); err != nil {
				return nil, err
			}
			p.Size = int64(len(rich.data))
		}
		m.Parts = append(m.Parts, *p)
		if err := h.readPart(ctx, t, r, p, rich); err != nil {
			return nil, err
		}
	}
	return r, r.settle()
}

// settle decides what the words are and whether there is anything for an agent.
func (r *reading) settle() error {
	m := r.message
	switch {
	case r.root != "":
		m.Text = r.root
	case len(r.clicks) == 0 && r.status != "":
		m.Text = r.status
	}
	r.dropUnknownFiles()
	if len(m.Text) > maxText {
		return invalidProperty("parts", "have a text longer than "+strconv.Itoa(maxText)+" bytes")
	}
	if m.Text == "" && len(m.Attachments) == 0 && len(r.clicks) == 0 && len(r.answered) == 0 {
		return invalidProperty("parts", "have neither text nor files that an agent could read")
	}
	return nil
}

// dropUnknownFiles tells of files that have no address, in place of them.
func (r *reading) dropUnknownFiles() {
	m := r.message
	m.Attachments = slices.DeleteFunc(m.Attachments, func(a bridge.Attachment) bool {
		if a.URL != "" {
			return false
		}
		what := "[file]"
		if strings.HasPrefix(a.ContentType, "image/") {
			what = "[image]"
		}
		m.Text = joined(m.Text, strings.TrimSpace(what+" "+a.Name))
		return true
	})
}

// readPart reads one part. What is neither words nor JSON of a message type is a
// file; previews of files are left out.
func (h *history) readPart(ctx context.Context, t *transaction, r *reading, p *part, rich *content) error {
	media, attributes, _ := mime.ParseMediaType(p.MIMEType)
	switch {
	case media == typeResponse || media == typeResponseV1:
		return h.readResponse(ctx, t, r, p.bytes(rich))
	case strings.HasPrefix(media, "application/vnd.layer.") && strings.HasSuffix(media, "+json"):
		r.readType(media, attributes["role"], p.bytes(rich))
	case media == typePlain:
		if body := p.bytes(rich); r.message.Text == "" && utf8.Valid(body) {
			r.message.Text = string(body)
		}
	case attributes["role"] == "preview" || strings.HasSuffix(media, "+preview"):
	case rich != nil:
		r.attach(bridge.Attachment{URL: h.downloadURL(rich.UUID), ContentType: rich.Type})
	case strings.HasPrefix(media, "image/") || attributes["role"] == "source":
		return h.keepInline(ctx, t, r, p)
	}
	return nil
}

// attach adds a file. A message with a name for it had that before.
func (r *reading) attach(a bridge.Attachment) {
	if files := r.message.Attachments; len(files) == 1 && files[0].URL == "" {
		a.Name = files[0].Name
		r.message.Attachments = files[:0]
	}
	r.message.Attachments = append(r.message.Attachments, a)
}

// keepInline stores a picture that came within the message, so that it has an
// address.
func (h *history) keepInline(ctx context.Context, t *transaction, r *reading, p *part) error {
	data := p.bytes(nil)
	if len(data) == 0 {
		return nil
	}
	id, err := kindContent.NextID(ctx, h.records)
	if err != nil {
		return err
	}
	c := &content{
		ID: id, UUID: uuid.NewString(), Owner: t.user.id, Type: mimetype.Detect(data).String(), Filled: true, Created: t.at, data: data,
	}
	r.stored = append(r.stored, c)
	r.attach(bridge.Attachment{URL: h.downloadURL(c.UUID), ContentType: c.Type})
	return nil
}

// readType reads a part of a message type. What we know has its words in a known
// order; of what we do not, all words are told.
func (r *reading) readType(media, role string, body []byte) {
	var told map[string]any
	if !utf8.Valid(body) || served.DecodeJSON(body, &told) != nil {
		return
	}
	if media == typeStatus {
		r.status = textOf(told, "text")
		return
	}
	if media != typeText && role != "" && role != "root" && role != "content" && role != "carousel-item" {
		return
	}
	switch media {
	case typeImage, typeFile:
		r.readFile(media, told)
		return
	case typeLocation:
		r.say(locationText(told))
	case typeText:
		if r.root == "" {
			r.say(textOf(told, "text", "title"))
		}
	default:
		r.say(wordsOf(told))
	}
}

func (r *reading) say(words string) { r.root = joined(r.root, words) }

// readFile reads an image or file message: its address, or the name of the file
// that follows in a part of its own.
func (r *reading) readFile(media string, told map[string]any) {
	a := bridge.Attachment{Name: textOf(told, "file_name", "title"), URL: textOf(told, "source_url", "preview_url"), ContentType: textOf(told, "mime_type")}
	if a.ContentType == "" && media == typeImage {
		a.ContentType = "image/*"
	}
	if a.URL != "" && !isWebAddress(a.URL) {
		a.URL = ""
	}
	r.message.Attachments = append(r.message.Attachments, a)
	if words := textOf(told, "subtitle"); words != "" {
		r.say(words)
	}
}

// isWebAddress reports whether a browser follows an address.
func isWebAddress(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// locationText is a place in words: what it is called, its address, where it is.
func locationText(told map[string]any) string {
	town := strings.TrimSpace(textOf(told, "city") + " " + textOf(told, "administrative_area"))
	if code := textOf(told, "postal_code"); code != "" {
		town = strings.Trim(town+", "+code, ", ")
	}
	position := ""
	if lat, lon := textOf(told, "latitude"), textOf(told, "longitude"); lat != "" && lon != "" {
		position = lat + ", " + lon
	}
	return joined(
		textOf(told, "title"), textOf(told, "description"), textOf(told, "street1"), textOf(told, "street2"), town,
		textOf(told, "country"), position,
	)
}

// wordsOf are the words of a message type, in the order in which they are shown.
func wordsOf(told map[string]any) string {
	words := []string{
		textOf(told, "title"), textOf(told, "name"), textOf(told, "label"), textOf(told, "text"), textOf(told, "subtitle"),
		textOf(told, "description"), textOf(told, "url"),
	}
	if choices, ok := told["choices"].([]any); ok {
		for _, c := range choices {
			if c, ok := c.(map[string]any); ok && textOf(c, "text") != "" {
				words = append(words, "• "+textOf(c, "text"))
			}
		}
	}
	return joined(words...)
}

// textOf is the first of several keys that has a text or a number.
func textOf(told map[string]any, keys ...string) string {
	for _, key := range keys {
		switch v := told[key].(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		}
	}
	return ""
}

// maxResponses is the most that one response may choose.
const maxResponses = 32

// responseBody is the body of a response message (web-xdk 4, ResponseModel): the
// changes of a state per user, and before version 2 the state itself.
type responseBody struct {
	ResponseTo      string           `json:"response_to"`
	Node            string           `json:"response_to_node_id"`
	Changes         []responseChange `json:"changes"`
	ParticipantData map[string]any   `json:"participant_data"`
}

func (r *responseBody) changes() []responseChange {
	return r.Changes[:min(len(r.Changes), maxResponses)]
}

// chosen are the values a response adds.
func (r *responseBody) chosen() []string {
	var values []string
	for _, c := range r.Changes {
		if v, ok := c.Value.(string); ok && c.Operation != "remove" {
			values = append(values, v)
		}
	}
	for _, v := range r.ParticipantData {
		if v, ok := v.(string); ok {
			values = append(values, strings.Split(v, ",")...)
		}
	}
	return values[:min(len(values), maxResponses)]
}

// readResponse finds out what was chosen in which message of an agent.
func (h *history) readResponse(ctx context.Context, t *transaction, r *reading, body []byte) error {
	var told responseBody
	if !utf8.Valid(body) || json.Unmarshal(body, &told) != nil {
		return nil
	}
	id, ok := uuidOf(told.ResponseTo, prefixMessage)
	if !ok {
		return nil
	}
	to, err := h.messageOf(ctx, t.user.id, id)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil
	}
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(r.answered, func(m *message) bool { return m.ID == to.ID }); i >= 0 {
		to = r.answered[i]
		to.respond(told.Node, told.changes())
	} else if to.respond(told.Node, told.changes()) {
		r.answered = append(r.answered, to)
	}
	for _, choice := range told.chosen() {
		said, offered := to.Choices[choice]
		known := slices.ContainsFunc(r.clicks, func(c chosen) bool { return c.choice == choice && c.message.ID == to.ID })
		if offered && !known {
			r.clicks = append(r.clicks, chosen{to, choice, said})
		}
	}
	return nil
}

// bytes is the body of a part.
func (p *part) bytes(rich *content) []byte {
	if rich != nil {
		return rich.data
	}
	if p.Encoding == "base64" {
		// What is not base64 has no bytes, and so no text.
		raw, _ := base64.StdEncoding.DecodeString(p.Body)
		return raw
	}
	return []byte(p.Body)
}
