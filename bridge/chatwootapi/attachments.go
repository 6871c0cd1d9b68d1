package chatwootapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
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

func (a *store) fileOf(ctx context.Context, token string) (*file, error) {
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

// uploadsOf returns the files of a message. They belong under attachments[];
// under another name they are no less meant to be sent.
func uploadsOf(p params) ([]upload, error) {
	var v invalid
	if !onlyFiles(p["attachments"]) {
		v.add("attachments", "Attachments must be files")
		return nil, v.err()
	}
	uploads := filesIn(nil, map[string]any(p))
	if len(uploads) > maxFiles {
		v.add("attachments", "Attachments exceeded maximum allowed")
	}
	return uploads, v.err()
}

// onlyFiles reports whether nothing but files, or nothing at all, was given for
// attachments: an address or the text of a file would be lost.
func onlyFiles(v any) bool {
	switch v := v.(type) {
	case upload, nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !onlyFiles(item) })
	case map[string]any:
		return onlyFiles(slices.Collect(maps.Values(v)))
	}
	text, isText := v.(string)
	return isText && isBlank(text)
}

// filesIn adds the files in a value to those found so far, by the names they
// have there.
func filesIn(found []upload, v any) []upload {
	switch v := v.(type) {
	case upload:
		return append(found, v)
	case []any:
		for _, item := range v {
			found = filesIn(found, item)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = filesIn(found, v[name])
		}
	}
	return found
}

// attach stores files with a message.
func (a *history) attach(ctx context.Context, t *transaction, m *message, uploads []upload) error {
	for _, u := range uploads {
		id, err := kindAttachment.NextID(ctx, a.records)
		if err != nil {
			return err
		}
		f := &file{
			attachment: attachment{ID: id, Name: safeName(u.name), ContentType: u.mediaType(), Size: int64(len(u.data)), Token: rand.Text()},
			message:    m.ID, data: u.data, created: t.now,
		}
		t.stored = append(t.stored, f)
		m.Attachments = append(m.Attachments, f.attachment)
	}
	return nil
}

// mediaType is what a file is. Its bytes say that, and the sender only where they
// leave it open: whether a container holds sound alone, what kind of text it is,
// and what nobody knows. A picture shows by its bytes that it is one, and what a
// browser would run is never believed.
func (u *upload) mediaType() string {
	found, _, _ := strings.Cut(mimetype.Detect(u.data).String(), ";")
	kind, form, _ := strings.Cut(u.media, "/")
	_, foundForm, _ := strings.Cut(found, "/")
	switch {
	case slices.Contains([]string{"text/html", "text/xml", "text/javascript"}, u.media):
		return found
	case kind == "audio" && (found == "video/"+form || found == "application/"+form || strings.HasPrefix(found, "video/") && form == "m4a"),
		kind == "text" && found == "text/plain",
		kind == "application" && (found == "application/zip" || foundForm == "x-ole-storage"),
		found == "application/octet-stream" && kind != "" && kind != "image" && kind != "multipart":
		return u.media
	}
	return found
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

func (a *answers) dataURL(f attachment) string { return a.fileURL("blobs", f) }

func (a *answers) thumbURL(f attachment) string { return a.fileURL("representations", f) }

// fileURL is the address of a file. Chatwoot's answers with a redirect to the
// file; ours answers with the file, which clients that follow redirects take.
func (a *answers) fileURL(what string, f attachment) string {
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
	"audio/mpeg", "audio/ogg", "audio/mp4", "audio/wav", "audio/webm", "video/mp4", "video/webm", "video/ogg", "video/quicktime",
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
