package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
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
	// AttachmentsUpload fetches pictures, and documents where Options.Documents says
	// so, and stores them with LivePerson, so that agents see them. It needs file
	// sharing to be enabled for the account.
	AttachmentsUpload AttachmentHandling = "upload"
	// AttachmentsLink sends name and address as text and fetches nothing.
	AttachmentsLink AttachmentHandling = "link"
)

const (
	// uploadRecords is the kind of records that remember whose file a path at
	// LivePerson is, so that an echo proves the right delivery.
	uploadRecords = "upload"
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

// captionOf is what an agent reads below a file: its name, or the end of its
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

// outgoing is a consumer's message on its way: a text, or a file whose text is the
// link to send if LivePerson does not take it.
type outgoing struct {
	entry   *bridge.Entry
	event   *bridge.Event
	text    string
	caption string
	fetched *picture.File
	// file is what was fetched once LivePerson has stored it.
	file *connector.HostedFile
	// again says that a refusal cannot be the conversation's fault any more.
	again bool
}

func (m *outgoing) content() connector.ContentEvent {
	if m.file != nil {
		return connector.ContentEvent{File: m.file, Metadata: metadataOf(m.event)}
	}
	return connector.ContentEvent{Message: m.text, Metadata: metadataOf(m.event)}
}

// lastTry says that a file that fails now goes as a link.
func (m *outgoing) lastTry() bool { return m.entry.Attempts >= fileTries-1 }

// uploads makes of consumers' messages what LivePerson takes: texts, and files
// that are stored with it.
type uploads struct {
	lp      *connector.Client
	records bridge.Records
	// fetcher gets consumers' files; nil when they go as links.
	fetcher  *picture.Fetcher
	previews *picture.Previews
	// sending notes that an entry is about to be sent to a dialog; what it returns
	// takes that back.
	sending func(e *bridge.Entry, dialog string) (refused func())
	log     *slog.Logger
	metrics *metrics
}

// prepare makes of an event what is to be sent. release must be called when the
// delivery is over.
func (u *uploads) prepare(ctx context.Context, e *bridge.Entry, ev *bridge.Event) (m *outgoing, release func(), err error) {
	m = &outgoing{entry: e, event: ev, text: ev.Message.Text}
	if len(ev.Message.Attachments) == 0 {
		return m, func() {}, nil
	}
	a := ev.Message.Attachments[0]
	m.text, m.caption = linkOf(a), captionOf(a)
	if u.fetcher == nil {
		return m, func() {}, nil
	}
	release, ok := u.fetcher.Slot()
	if !ok {
		return nil, nil, &connector.Error{Op: "fetch an attachment", Outcome: bridge.Throttled, RetryAfter: picture.FetchBusyPause, Err: errFilesBusy}
	}
	if err := u.fetch(ctx, m, a.URL); err != nil {
		release()
		return nil, nil, err
	}
	return m, release, nil
}

func (u *uploads) fetch(ctx context.Context, m *outgoing, address string) error {
	p, err := u.fetcher.File(ctx, address)
	failed, _ := errors.AsType[*picture.FetchError](err)
	switch {
	case err == nil:
		m.fetched = p
		return nil
	case failed == nil || failed.Passing && !m.lastTry():
		return connector.NotSent("fetch an attachment", bridge.Retry, err)
	}
	u.sendLink(m, failed.Reason)
	return nil
}

// sendLink settles for the link of an attachment.
func (u *uploads) sendLink(m *outgoing, why picture.Reason) {
	m.fetched, m.file = nil, nil
	u.metrics.attachments.WithLabelValues(m.entry.Lane.Channel, string(why)).Inc()
	u.log.Info("attachment goes as a link", "channel", m.entry.Lane.Channel, "seq", m.entry.Seq, "reason", string(why))
}

// publish sends a message into a conversation, storing its file first.
func (u *uploads) publish(ctx context.Context, who connector.ConsumerIdentity, to connector.Target, m *outgoing) (connector.Sequence, error) {
	if err := u.store(ctx, who, m); err != nil {
		return 0, err
	}
	refused := u.sending(m.entry, string(to.DialogID))
	sequence, err := u.lp.Send(ctx, who, to, m.content())
	if m.file != nil && connector.OutcomeOf(err) == bridge.Invalid && (m.again || !conversationRefused(err)) {
		u.sendLink(m, picture.NotTaken)
		sequence, err = u.lp.Send(ctx, who, to, m.content())
	}
	switch {
	case err == nil && m.file != nil:
		u.metrics.attachments.WithLabelValues(m.entry.Lane.Channel, "uploaded").Inc()
	case err != nil && !mayHaveArrived(err):
		refused()
	}
	return sequence, err
}

// store puts a file where LivePerson wants it ("File Sharing" page). An agent
// sees nothing of it before the message is sent, so it may be done again.
func (u *uploads) store(ctx context.Context, who connector.ConsumerIdentity, m *outgoing) error {
	if m.fetched == nil || m.file != nil {
		return nil
	}
	at, err := u.lp.Upload(ctx, who, m.fetched.FileType, m.fetched.Data)
	switch outcome := connector.OutcomeOf(err); {
	case outcome == bridge.Delivered:
	case ctx.Err() != nil, outcome == bridge.Throttled:
		return err
	case outcome == bridge.Invalid, errors.Is(err, connector.ErrNoService):
		u.sendLink(m, picture.NotTaken)
		return nil
	case m.lastTry():
		u.sendLink(m, picture.NotStored)
		return nil
	default:
		return err
	}
	if err := u.remember(ctx, m.entry, at); err != nil {
		return connector.NotSent("remember an upload", bridge.Retry, err)
	}
	m.file = &connector.HostedFile{
		Caption: m.caption, RelativePath: at, FileType: m.fetched.FileType, Preview: u.previews.Of(ctx, m.fetched),
	}
	return nil
}

// remember writes down whose file a path is before the message that names
// it can arrive: the echo names nothing else that is certain.
func (u *uploads) remember(ctx context.Context, e *bridge.Entry, at string) error {
	id, err := u.records.NextID(ctx, uploadRecords)
	if err != nil {
		return err
	}
	return u.records.Save(ctx, bridge.Record{Kind: uploadRecords, ID: id, Parent: threadParent(e.ThreadKey()), Keys: []string{at}, Data: []byte(e.ID)})
}

// of is the event whose file lies at a path, empty when none does.
func (u *uploads) of(ctx context.Context, at string) (bridge.EventID, error) {
	if at == "" {
		return "", nil
	}
	record, err := u.records.Find(ctx, uploadRecords, at)
	if errors.Is(err, bridge.ErrNoRecord) {
		return "", nil
	}
	return bridge.EventID(record.Data), err
}
