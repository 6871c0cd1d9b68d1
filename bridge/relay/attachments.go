package relay

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"path"
	"strings"
	"unicode"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/picture"
	"lpbridge/connector"
)

// AttachmentHandling is how consumers' attachments reach LivePerson.
type AttachmentHandling string

// Either way nothing is lost: what LivePerson does not take goes as a link.
const (
	// AttachmentsUpload fetches pictures and stores them with LivePerson, so that
	// agents see them. It needs file sharing to be enabled for the account.
	AttachmentsUpload AttachmentHandling = "upload"
	// AttachmentsLink sends name and address as text and fetches nothing.
	AttachmentsLink AttachmentHandling = "link"
)

const (
	// UploadRecords is the kind of records that remember whose file a path at
	// LivePerson is, so that an echo proves the right delivery.
	UploadRecords = "upload"
	// fileTries is how often the fetching and storing of a file is tried before it
	// goes as a link.
	fileTries = 3
	// maxCaption is the longest caption and file name, in characters.
	maxCaption = 200
)

// errFilesBusy means that as many files are on their way as may be.
var errFilesBusy = errors.New("too many files are on their way")

// linkOf is an attachment as text.
func linkOf(a bridge.Attachment) string { return strings.TrimSpace(a.Name + " " + a.URL) }

// captionOf is what an agent reads below a picture: its name, or the end of its
// address.
func captionOf(a bridge.Attachment) string {
	name := a.Name
	if u, err := url.Parse(a.URL); name == "" && err == nil {
		name = path.Base(u.Path)
	}
	return cmp.Or(plainName(name), "file")
}

// plainName makes one line of limited length of a name from elsewhere.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == '/' || r == '\\' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	name = strings.Join(strings.Fields(name), " ")
	if runes := []rune(name); len(runes) > maxCaption {
		name = string(runes[len(runes)-maxCaption:])
	}
	if strings.Trim(name, ". ") == "" {
		return ""
	}
	return name
}

// outgoing is a consumer's message on its way: a text, or a picture whose text
// is the link to send if LivePerson does not take it.
type outgoing struct {
	entry   *bridge.Entry
	event   *bridge.Event
	text    string
	caption string
	picture *picture.Picture
	// file is the picture once LivePerson has stored it.
	file *connector.HostedFile
}

func (m *outgoing) content() connector.ContentEvent {
	if m.file != nil {
		return connector.ContentEvent{File: m.file, Metadata: metadataOf(m.event)}
	}
	return connector.ContentEvent{Message: m.text, Metadata: metadataOf(m.event)}
}

// lastTry says that a file that fails now goes as a link.
func (m *outgoing) lastTry() bool { return m.entry.Attempts >= fileTries-1 }

// prepare makes of an event what is to be sent. release must be called when the
// delivery is over.
func (b *Bridge) prepare(ctx context.Context, e *bridge.Entry, ev *bridge.Event) (m *outgoing, release func(), err error) {
	m = &outgoing{entry: e, event: ev, text: ev.Message.Text}
	if len(ev.Message.Attachments) == 0 {
		return m, func() {}, nil
	}
	a := ev.Message.Attachments[0]
	m.text, m.caption = linkOf(a), captionOf(a)
	if b.fetcher == nil {
		return m, func() {}, nil
	}
	release, ok := b.fetcher.Slot()
	if !ok {
		return nil, nil, &connector.Error{Op: "fetch an attachment", Outcome: bridge.Throttled, RetryAfter: picture.FetchBusyPause, Err: errFilesBusy}
	}
	if err := b.fetchPicture(ctx, m, a.URL); err != nil {
		release()
		return nil, nil, err
	}
	return m, release, nil
}

func (b *Bridge) fetchPicture(ctx context.Context, m *outgoing, address string) error {
	p, err := b.fetcher.Picture(ctx, address)
	failed, _ := errors.AsType[*picture.FetchError](err)
	switch {
	case err == nil:
		m.picture = p
		return nil
	case failed == nil || failed.Passing && !m.lastTry():
		return &connector.Error{Op: "relay", Outcome: bridge.Retry, Err: err}
	}
	b.sendLink(m, failed.Reason)
	return nil
}

// sendLink settles for the link of an attachment.
func (b *Bridge) sendLink(m *outgoing, why picture.Reason) {
	m.picture, m.file = nil, nil
	b.metrics.attachments.WithLabelValues(m.entry.Lane.Channel, string(why)).Inc()
	b.log.Info("attachment goes as a link", "channel", m.entry.Lane.Channel, "seq", m.entry.Seq, "reason", string(why))
}

// publish sends a message into a conversation, storing its picture first.
func (b *Bridge) publish(ctx context.Context, who connector.ConsumerIdentity, to connector.Target, m *outgoing) (connector.Sequence, error) {
	if err := b.store(ctx, who, m); err != nil {
		return 0, err
	}
	refused := b.toLivePerson.Sending(m.entry, string(to.DialogID))
	sequence, err := b.lp.Send(ctx, who, to, m.content())
	if m.file != nil && connector.OutcomeOf(err) == bridge.Invalid {
		b.sendLink(m, picture.NotTaken)
		sequence, err = b.lp.Send(ctx, who, to, m.content())
	}
	switch {
	case err == nil && m.file != nil:
		b.metrics.attachments.WithLabelValues(m.entry.Lane.Channel, "uploaded").Inc()
	case err != nil && !mayHaveArrived(err):
		refused()
	}
	return sequence, err
}

// store puts a picture where LivePerson wants it ("File Sharing" page). An agent
// sees nothing of it before the message is sent, so it may be done again.
func (b *Bridge) store(ctx context.Context, who connector.ConsumerIdentity, m *outgoing) error {
	if m.picture == nil || m.file != nil {
		return nil
	}
	at, err := b.lp.Upload(ctx, who, m.picture.FileType, m.picture.Data)
	switch outcome := connector.OutcomeOf(err); {
	case outcome == bridge.Delivered:
	case ctx.Err() != nil, outcome == bridge.Throttled:
		return err
	case outcome == bridge.Invalid, errors.Is(err, connector.ErrNoService):
		b.sendLink(m, picture.NotTaken)
		return nil
	case m.lastTry():
		b.sendLink(m, picture.NotStored)
		return nil
	default:
		return err
	}
	if err := b.rememberUpload(ctx, m.entry, at); err != nil {
		return &connector.Error{Op: "remember an upload", Outcome: bridge.Retry, Err: err}
	}
	m.file = &connector.HostedFile{
		Caption: m.caption, RelativePath: at, FileType: m.picture.FileType, Preview: b.previews.Of(ctx, m.picture),
	}
	return nil
}

// rememberUpload writes down whose file a path is before the message that names
// it can arrive: the echo names nothing else that is certain.
func (b *Bridge) rememberUpload(ctx context.Context, e *bridge.Entry, at string) error {
	book := b.journal.RecordsOf(coreRecords)
	id, err := book.NextID(ctx, UploadRecords)
	if err != nil {
		return err
	}
	return book.Save(ctx, bridge.Record{Kind: UploadRecords, ID: id, Keys: []string{at}, Data: []byte(e.ID)})
}

// uploadedFor is the event whose file lies at a path, empty when none does.
func (b *Bridge) uploadedFor(ctx context.Context, at string) (bridge.EventID, error) {
	if at == "" {
		return "", nil
	}
	record, err := b.journal.RecordsOf(coreRecords).Find(ctx, UploadRecords, at)
	if errors.Is(err, bridge.ErrNoRecord) {
		return "", nil
	}
	return bridge.EventID(record.Data), err
}

// proves compares an entry with what came back.
func (e *echo) proves(entry *bridge.Entry, uploaded bridge.EventID) bool {
	if e.path != "" {
		return uploaded != "" && entry.ID == uploaded
	}
	ev, err := entry.Decoded()
	if err != nil {
		return false
	}
	text := ev.Message.Text
	if len(ev.Message.Attachments) > 0 {
		text = linkOf(ev.Message.Attachments[0])
	}
	return text == e.text
}
