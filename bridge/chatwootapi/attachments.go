package chatwootapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gabriel-vasile/mimetype"

	"lpbridge/bridge"
)

// attachment is a file of a message: a contact's, kept under Token, or an
// agent's, which lies at URL.
type attachment struct {
	ID          int64  `json:"id"`
	Name        string `json:"name,omitempty"`
	ContentType string `json:"contentType,omitempty"`
	Size        int64  `json:"size,omitempty"`
	Token       string `json:"token,omitempty"`
	URL         string `json:"url,omitempty"`
}

// file is the record of a contact's file.
type file struct {
	attachment
	message int64
	data    []byte
	created time.Time
}

// Record implements [served.Thing].
func (f *file) Record() (bridge.Record, error) {
	return kindAttachment.Record(f.ID, formatID(f.message), []string{keyToken + f.Token}, f.created, &f.attachment, f.data...)
}

func (a *ChatwootAPI) fileOf(ctx context.Context, token string) (*file, error) {
	rec, err := a.records.Find(ctx, string(kindAttachment), keyToken+token)
	if err != nil {
		return nil, err
	}
	described, data, err := kindAttachment.DecodeWithBytes(rec)
	if err != nil {
		return nil, err
	}
	return &file{attachment: *described, data: data, created: rec.Time}, nil
}

// uploadsOf returns the files of attachments[].
func uploadsOf(p params) ([]upload, error) {
	items, ok := p["attachments"].([]any)
	if !ok {
		return nil, nil
	}
	var v invalid
	if len(items) > maxFiles {
		v.add("attachments", "Attachments exceeded maximum allowed")
		return nil, v.err()
	}
	uploads := make([]upload, 0, len(items))
	for _, item := range items {
		u, ok := item.(upload)
		if !ok {
			v.add("attachments", "Attachments must be files")
			return nil, v.err()
		}
		uploads = append(uploads, u)
	}
	return uploads, nil
}

// attach stores files with a message. What a file is, its bytes say: names and
// headers are the sender's word only.
func (a *ChatwootAPI) attach(ctx context.Context, t *transaction, m *message, uploads []upload) error {
	for _, u := range uploads {
		id, err := kindAttachment.NextID(ctx, a.records)
		if err != nil {
			return err
		}
		media, _, _ := strings.Cut(mimetype.Detect(u.data).String(), ";")
		f := &file{
			attachment: attachment{ID: id, Name: safeName(u.name), ContentType: media, Size: int64(len(u.data)), Token: rand.Text()},
			message:    m.ID, data: u.data, created: t.now,
		}
		t.stored = append(t.stored, f)
		m.Attachments = append(m.Attachments, f.attachment)
	}
	return nil
}

// safeName makes a file name that can stand in a URL, a header and a page.
func safeName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(`/:*?"<>|`, r) {
			return '-'
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > maxShortText {
		name = string(runes[len(runes)-maxShortText:])
	}
	if strings.Trim(name, ".") == "" {
		return "file"
	}
	return name
}

func (a *ChatwootAPI) dataURL(f attachment) string { return a.fileURL("blobs", f) }

func (a *ChatwootAPI) thumbURL(f attachment) string { return a.fileURL("representations", f) }

// fileURL is the address of a file. Chatwoot's answers with a redirect to the
// file; ours answers with the file, which clients that follow redirects take.
func (a *ChatwootAPI) fileURL(what string, f attachment) string {
	if f.URL != "" {
		return f.URL
	}
	return a.publicURL + "/rails/active_storage/" + what + "/redirect/" + f.Token + "/" + url.PathEscape(f.Name)
}

// inlineTypes are what a browser may show in place. Everything else, SVG and
// HTML above all, is a download: it could run script in our name. So is PDF,
// which browsers do not show under the sandbox the files are served in.
var inlineTypes = []string{
	"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "text/plain",
	"audio/mpeg", "audio/ogg", "audio/mp4", "audio/wav", "video/mp4", "video/webm", "video/ogg", "video/quicktime",
}

// serveFile answers GET of a contact's file. Its address cannot be guessed and
// is the only credential, as with Chatwoot.
func (a *ChatwootAPI) serveFile(w http.ResponseWriter, r *http.Request) {
	f, err := a.fileOf(r.Context(), r.PathValue("token"))
	if err != nil {
		writeRefusal(w, a.refusalOf(r.Context(), err, pathFile))
		return
	}
	disposition := "attachment"
	if slices.Contains(inlineTypes, f.ContentType) {
		disposition = "inline"
	}
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": f.Name}))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, max-age=3600, immutable")
	http.ServeContent(w, r, "", f.created, bytes.NewReader(f.data))
}

// fileType is Chatwoot's word for what a file is.
func fileType(contentType string) string {
	switch contentType {
	case "image/jpeg", "image/jpg", "image/png", "image/gif", "image/bmp", "image/webp":
		return "image"
	case "video/ogg", "video/mp4", "video/webm", "video/quicktime":
		return "video"
	}
	if strings.HasPrefix(contentType, "audio/") {
		return "audio"
	}
	return "file"
}

func extension(name string) string { return strings.TrimPrefix(path.Ext(name), ".") }
