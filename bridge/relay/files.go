package relay

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/picture"
	"lpbridge/connector"
)

const (
	// fileRecords is the kind of records that remember which file of an agent a
	// token stands for.
	fileRecords = "file"
	// maxAgentFile is the largest file passed on to a consumer, in bytes.
	// LivePerson limits consumers to 3 MB and does not say what agents may send.
	maxAgentFile = 25 << 20
	// fileTime bounds the passing on of one file to a slow reader.
	fileTime = 2 * time.Minute
	// fileSlots is how many files are passed on at once, and fileSlotWait how long
	// a request waits for one.
	fileSlots    = 32
	fileSlotWait = 5 * time.Second
	// maxElsewhere is the largest file fetched from elsewhere, in bytes, and
	// elsewhereSlots how many of them at once.
	maxElsewhere   = 10 << 20
	elsewhereSlots = 4
	// fileSniffed is how much of a file tells what it is.
	fileSniffed = 3072
)

// ExpiringRecords are the kinds of the core's own records that are of use only
// as long as history is kept. The core's channel name is empty.
func ExpiringRecords() []string {
	return []string{offerRecords, uploadRecords, fileRecords, unreadableRecords, deniedRecords, copyRecords}
}

// agentFile is the data of a file record.
type agentFile struct {
	// Consumer is the ext_consumer_id on whose behalf LivePerson gives the file
	// out.
	Consumer     string `json:"consumer"`
	Conversation string `json:"conversation"`
	RelativePath string `json:"relativePath"`
	FileType     string `json:"fileType"`
	Name         string `json:"name"`
}

// files gives agents' files out under addresses of our own.
type files struct {
	lp      *connector.Client
	records bridge.Records
	// publicURL is where the public listener is reached from outside; it may be
	// nil.
	publicURL *url.URL
	// uploads reports whether a channel takes files themselves.
	uploads func(channel string) bool
	// slots bounds how many are passed on at once.
	slots chan struct{}
	// fetcher gets files that lie elsewhere, nil when nothing is fetched. They are
	// held in memory; elsewhere bounds how many.
	fetcher   *picture.Fetcher
	elsewhere chan struct{}
	log       *slog.Logger
}

// share makes an address for an agent's file that stays good when LivePerson's
// own, which live a minute, have expired ("File Sharing" page). Without a public
// address of ours only a channel that uploads can be given the file; others get a
// sentence that says that there was one. The record must be kept with the event.
func (s *files) share(ctx context.Context, owner *bridge.Conversation, f *connector.ReceivedFile, m *bridge.Message) (*bridge.ChannelRecord, error) {
	if s.publicURL == nil && !s.uploads(owner.Channel) || owner.ExtConsumer == "" || f.RelativePath == "" {
		m.Text = joined(joined(m.Text, f.Caption), bridge.UnshownFile)
		m.Placeholder = len(m.Attachments) == 0
		return nil, nil
	}
	file := agentFile{
		Consumer: owner.ExtConsumer, Conversation: owner.ID, RelativePath: f.RelativePath,
		FileType: f.FileType, Name: fileName(f.Caption, f.FileType),
	}
	data, err := json.Marshal(file)
	if err != nil {
		return nil, err
	}
	id, err := s.records.NextID(ctx, fileRecords)
	if err != nil {
		return nil, err
	}
	token := rand.Text()
	if f.Caption != file.Name {
		// A caption that is the file's name says no more than that.
		m.Text = joined(m.Text, f.Caption)
	}
	m.Attachments = append(m.Attachments, bridge.Attachment{
		URL: s.address(token), ContentType: mediaTypeOf(f.FileType), Name: file.Name,
	})
	return &bridge.ChannelRecord{Channel: coreRecords, Record: bridge.Record{Kind: fileRecords, ID: id, Keys: []string{token}, Data: data}}, nil
}

// pathOfFiles is where files lie below the public address.
const pathOfFiles = "/files/"

// address is where a file of ours lies, a path where no public address is known.
func (s *files) address(token string) string {
	if s.publicURL == nil {
		return pathOfFiles + token
	}
	return s.publicURL.JoinPath(pathOfFiles, token).String()
}

// token is what an address of ours stands for.
func (s *files) token(address string) (token string, ours bool) {
	if token, ours = strings.CutPrefix(address, pathOfFiles); ours || s.publicURL == nil {
		return token, ours
	}
	return strings.CutPrefix(address, s.publicURL.JoinPath(pathOfFiles).String())
}

// joined puts a file's words below what there is.
func joined(text, more string) string {
	if text == "" || more == "" {
		return text + more
	}
	return text + "\n" + more
}

// mediaTypes are those of the file types LivePerson's schema names (HostedFile),
// and a few more that agents' clients may fill in.
var mediaTypes = map[string]string{
	"JPG": "image/jpeg", "JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp",
	"PDF": "application/pdf", "TXT": "text/plain", "MP4": "video/mp4", "MP3": "audio/mpeg",
	"DOCX": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"PPTX": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"XLSX": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// mediaTypeOf translates LivePerson's fileType, which need not be one of those.
func mediaTypeOf(fileType string) string {
	return cmp.Or(mediaTypes[strings.ToUpper(fileType)], "application/octet-stream")
}

// fileName makes a name to save a file under of its caption.
func fileName(caption, fileType string) string {
	name := cmp.Or(plainName(caption), "file")
	extension := "." + strings.ToLower(fileType)
	if path.Ext(name) != "" || len(extension) < 2 || strings.ContainsFunc(fileType, notAlphanumeric) {
		return name
	}
	return name + extension
}

func notAlphanumeric(r rune) bool {
	return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
}

// inlineTypes may be shown by a browser in place. All else is a download: an SVG
// or a web page could run script in our name.
var inlineTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

// ServeHTTP passes an agent's file on from LivePerson. Its address cannot be
// guessed and is the only credential, as with any link in a chat.
func (s *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, p := s.find(r.Context(), r.PathValue("token"))
	if p != nil {
		serveProblem(w, r, p)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), fileTime)
	defer cancel()
	release, p := s.slot(ctx)
	if p != nil {
		serveProblem(w, r, p)
		return
	}
	defer release()
	source, err := s.lp.Download(ctx, connector.ConsumerIdentity(file.Consumer), file.RelativePath, maxAgentFile)
	if err != nil {
		s.log.Info("an agent's file could not be fetched", "outcome", connector.OutcomeOf(err).String(), "error", err)
		serveProblem(w, r, problemOfFile(err))
		return
	}
	defer source.Body.Close()
	// The listener's own limit is made for small answers; a writer without
	// deadlines is one without a connection to cut.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(fileTime))
	passOn(w, r, source, file.Name)
}

func serveProblem(w http.ResponseWriter, r *http.Request, p *bridge.Problem) {
	w.Header().Set("Cache-Control", "no-store")
	p.ServeHTTP(w, r)
}

func (s *files) find(ctx context.Context, token string) (agentFile, *bridge.Problem) {
	var file agentFile
	unknown := &bridge.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "there is no such file, or it is no longer kept"}
	if len(token) != len(rand.Text()) || strings.ContainsFunc(token, notAlphanumeric) {
		return file, unknown
	}
	record, err := s.records.Find(ctx, fileRecords, token)
	if errors.Is(err, bridge.ErrNoRecord) {
		return file, unknown
	}
	if err == nil {
		err = json.Unmarshal(record.Data, &file)
	}
	if err != nil {
		s.log.Error("a file could not be looked up", "error", err)
		return file, &bridge.Problem{Status: http.StatusServiceUnavailable, Title: "Service Unavailable", RetryAfter: bridge.BusyRetryAfter}
	}
	return file, nil
}

// slot waits for the right to pass a file on.
func (s *files) slot(ctx context.Context) (release func(), p *bridge.Problem) {
	return waitForSlot(ctx, s.slots)
}

func waitForSlot(ctx context.Context, slots chan struct{}) (release func(), p *bridge.Problem) {
	ctx, cancel := context.WithTimeout(ctx, fileSlotWait)
	defer cancel()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, &bridge.Problem{
			Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
			Detail: "too many files are being fetched", RetryAfter: bridge.BusyRetryAfter,
		}
	}
}

// problemOfFile translates why LivePerson did not give a file out.
func problemOfFile(err error) *bridge.Problem {
	switch outcome := connector.OutcomeOf(err); {
	case errors.Is(err, connector.ErrTooLarge):
		return &bridge.Problem{Status: http.StatusBadGateway, Title: "Bad Gateway", Detail: "the file is larger than the bridge passes on"}
	case outcome == bridge.Invalid:
		return &bridge.Problem{Status: http.StatusNotFound, Title: "Not Found", Detail: "LivePerson no longer has the file"}
	case outcome == bridge.Unauthorized:
		return &bridge.Problem{Status: http.StatusBadGateway, Title: "Bad Gateway", Detail: "LivePerson refused to give the file out"}
	default:
		return &bridge.Problem{
			Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
			Detail: "LivePerson could not be asked for the file", RetryAfter: max(retryAfter(err), bridge.BusyRetryAfter),
		}
	}
}

// passOn streams a file. What it is, its bytes say: storage and agents are only
// believed about its name.
func passOn(w http.ResponseWriter, r *http.Request, source *connector.File, name string) {
	body := bufio.NewReaderSize(source.Body, fileSniffed)
	head, err := body.Peek(fileSniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		serveProblem(w, r, problemOfFile(err))
		return
	}
	media := mimetype.Detect(head).String()
	disposition := "attachment"
	if bare, _, _ := strings.Cut(media, ";"); slices.Contains(inlineTypes, bare) {
		disposition = "inline"
	}
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, max-age=3600")
	if source.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(source.Size, 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, body); err != nil {
		// A file cut short must not look whole.
		panic(http.ErrAbortHandler)
	}
}
