package chatwoot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

const (
	// maxFiles is how many files one message of Chatwoot's may have.
	maxFiles = 15
	// uploadTime bounds the sending of a message with files.
	uploadTime = 2 * time.Minute
	// filePatience is how long a message waits for a file that may still be had.
	filePatience = 5 * time.Minute
)

// newMessage is the body of a message to create (Chatwoot, Application API:
// Create New Message).
type newMessage struct {
	Content     string         `json:"content"`
	MessageType string         `json:"message_type"`
	Private     bool           `json:"private"`
	ContentType string         `json:"content_type"`
	Attributes  map[string]any `json:"content_attributes"`
}

// item is a reply to choose from.
type item struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

// post creates the message that shows an event: one message whatever is in it,
// so that it arrives whole or not at all. Files that cannot be uploaded are
// addresses in its text.
func (c *Chatwoot) post(ctx context.Context, id int64, e *bridge.Event) error {
	files, links, err := c.open(ctx, e)
	if err != nil {
		return err
	}
	defer files.close()
	if len(files) == 0 {
		return c.tell(ctx, id, e, links)
	}
	err = c.upload(ctx, id, c.compose(id, e, links), files)
	if !tooLarge(err) {
		return err
	}
	c.log.InfoContext(ctx, "files of an agent are too large for Chatwoot and go as links", "thread", id, "error", err)
	return c.tell(ctx, id, e, e.Message.Attachments)
}

// tell creates the message without files. Where there is not even an address of one,
// the sentence that stands for them is no delivery.
func (c *Chatwoot) tell(ctx context.Context, id int64, e *bridge.Event, links []bridge.Attachment) error {
	if err := c.create(ctx, id, c.compose(id, e, links)); err != nil {
		return err
	}
	addressed := func(a bridge.Attachment) bool { return isWebAddress(a.URL) }
	if len(links) > 0 && !slices.ContainsFunc(links, addressed) {
		return invalid("none of the files can be uploaded, and they have no address")
	}
	return nil
}

// compose writes an event as a message of Chatwoot's. Its content is the whole of
// it in words, because clients show that where they cannot show the rest: what can be
// chosen stands there with numbers unless it is known to be clicked.
func (c *Chatwoot) compose(id int64, e *bridge.Event, links []bridge.Attachment) newMessage {
	said := e.Message.Text
	if !c.seen.reportsClicks(id) {
		said = e.Message.Numbered()
	}
	m := newMessage{
		Content: contentOf(said, links, c.markdown), MessageType: typeOutgoing, ContentType: "text",
		Attributes: map[string]any{markKey: e.ID},
	}
	if replies := e.Message.QuickReplies; len(replies) > 0 {
		m.ContentType, m.Attributes["items"], m.Attributes[repliesKey] = selectOf(replies)
		return m
	}
	if kind, items := structured(e.Message.Rich); kind != "" {
		m.ContentType, m.Attributes["items"] = kind, items
	}
	return m
}

// selectOf offers replies. The value of each is its name: inboxes such as Telegram's
// bring it back as what the consumer wrote.
func selectOf(replies []bridge.QuickReply) (kind string, items []item, ids map[string]string) {
	ids = make(map[string]string, len(replies))
	for _, r := range replies {
		title := firstOf(r.Name(), r.ID)
		for n := 2; ids[title] != ""; n++ {
			title = firstOf(r.Name(), r.ID) + " (" + strconv.Itoa(n) + ")"
		}
		ids[title] = r.ID
		items = append(items, item{Title: title, Value: title})
	}
	return "input_select", items, ids
}

// create makes a message. An answer that names none leaves open whether there is
// one.
func (c *Chatwoot) create(ctx context.Context, id int64, m newMessage) error {
	if m.Content == "" && m.ContentType == "text" {
		return invalid("the message has nothing that Chatwoot can show")
	}
	var made created
	return made.check(c.far.call(ctx, c.messages(id), m, &made))
}

func (c *Chatwoot) messages(id int64) request {
	return request{method: http.MethodPost, path: c.far.ofConversation(id, "messages")}
}

// created is the answer to a message.
type created struct {
	ID json.RawMessage `json:"id"`
}

func (m *created) check(err error) error {
	if err == nil && m.ID == nil {
		return &bridge.DeliveryError{Outcome: bridge.Unknown, Err: errors.New("the answer names no message")}
	}
	return err
}

// openFile is a file of an agent's that is on its way.
type openFile struct {
	*bridge.File
	name string
}

type openFiles []openFile

func (f openFiles) close() {
	for _, file := range f {
		// What was read of it is all that matters.
		_ = file.Body.Close()
	}
}

// open gets at the files of a message. Those that cannot be had are links, and so
// are those that others would have waited for long enough.
func (c *Chatwoot) open(ctx context.Context, e *bridge.Event) (files openFiles, links []bridge.Attachment, err error) {
	late := !e.Time.IsZero() && time.Since(e.Time) > filePatience
	for _, a := range e.Message.Attachments {
		if len(files) == maxFiles {
			links = append(links, a)
			continue
		}
		file, err := c.core.File(ctx, a)
		if errors.Is(err, bridge.ErrNoFile) || err != nil && late && ctx.Err() == nil {
			links = append(links, a)
			continue
		}
		if err != nil {
			files.close()
			return nil, nil, &bridge.DeliveryError{Outcome: bridge.Retry, Err: fmt.Errorf("open an agent's file: %w", err)}
		}
		files = append(files, openFile{file, a.Name})
	}
	return files, links, nil
}

// upload creates a message with files, which are passed on as they come.
func (c *Chatwoot) upload(ctx context.Context, id int64, m newMessage, files openFiles) error {
	body, length, contentType, err := form(m, files)
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("the event cannot be written as a form")}
	}
	r := c.messages(id)
	r.timeout = max(uploadTime, c.far.side.Timeout)
	var made created
	return made.check(c.far.send(ctx, r, content{body, length, contentType}, &made))
}

// form writes a message with files as multipart/form-data. Its length is 0 when
// that of a file is not known.
func form(m newMessage, files openFiles) (body io.Reader, length int64, contentType string, err error) {
	attributes, err := json.Marshal(m.Attributes)
	if err != nil {
		return nil, 0, "", err
	}
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	// A buffer takes everything.
	_ = w.WriteField("content", m.Content)
	_ = w.WriteField("message_type", m.MessageType)
	_ = w.WriteField("private", strconv.FormatBool(m.Private))
	_ = w.WriteField("content_type", m.ContentType)
	_ = w.WriteField("content_attributes", string(attributes))
	var parts []io.Reader
	known := true
	for _, f := range files {
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", multipart.FileContentDisposition("attachments[]", f.name))
		header.Set("Content-Type", f.ContentType)
		if _, err := w.CreatePart(header); err != nil {
			return nil, 0, "", err
		}
		parts = append(parts, bytes.NewReader(bytes.Clone(text.Bytes())), f.Body)
		length += int64(text.Len()) + f.Size
		known = known && f.Size >= 0
		text.Reset()
	}
	if err := w.Close(); err != nil {
		return nil, 0, "", err
	}
	length += int64(text.Len())
	if !known {
		length = 0
	}
	return io.MultiReader(append(parts, &text)...), length, w.FormDataContentType(), nil
}

// tooLarge reports whether files were refused for what they are, by Chatwoot or
// by a proxy before it: without them the message may pass.
func tooLarge(err error) bool {
	status := farside.StatusOf(err)
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	return ok && (status == http.StatusRequestEntityTooLarge || status == http.StatusUnprocessableEntity && d.Outcome == bridge.Invalid)
}
