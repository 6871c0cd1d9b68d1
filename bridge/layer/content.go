package layer

import (
	"bytes"
	"context"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gabriel-vasile/mimetype"
	"github.com/google/uuid"

	"lpbridge/bridge"
)

// contentLife is for how long the SDKs believe a download URL. Ours does not
// end before the content does.
const contentLife = 24 * time.Hour

// content is rich content: what is too long or no text. Who knows its UUID can
// read it, agents included, and until something was uploaded can fill it.
type content struct {
	ID      int64     `json:"id"`
	UUID    string    `json:"uuid"`
	Owner   string    `json:"owner"`
	Type    string    `json:"type,omitempty"` // as found in the bytes
	Filled  bool      `json:"filled,omitempty"`
	Created time.Time `json:"created"`

	data []byte
}

func (c *content) Record() (bridge.Record, error) {
	return kindContent.Record(c.ID, c.Owner, []string{uuidKey(c.UUID)}, c.Created, c, c.data...)
}

func (l *Layer) contentNamed(ctx context.Context, uuid string) (*content, error) {
	r, err := l.records.Find(ctx, string(kindContent), uuidKey(uuid))
	if err != nil {
		return nil, err
	}
	c, data, err := kindContent.DecodeWithBytes(r)
	if err != nil {
		return nil, err
	}
	c.data = data
	return c, nil
}

// uploaded returns the content that a part names.
func (l *Layer) uploaded(ctx context.Context, owner, uuid, field string) (*content, error) {
	c, err := l.contentNamed(ctx, uuid)
	if errors.Is(err, bridge.ErrNoRecord) || err == nil && (c.Owner != owner || !c.Filled) {
		return nil, invalidProperty(field+".content.id", "is not content that the user uploaded")
	}
	return c, err
}

func (l *Layer) contentURL(uuid string) string { return l.base + "/content/" + uuid }

func (l *Layer) downloadURL(uuid string) string { return l.contentURL(uuid) + "/file" }

func (l *Layer) contentObject(uuid string, size int64) contentObject {
	return contentObject{
		ID: prefixContent + uuid, DownloadURL: l.downloadURL(uuid), RefreshURL: l.contentURL(uuid),
		Expiration: iso(time.Now().Add(contentLife)), Size: size,
	}
}

// createContent answers POST /content: where to upload.
func (l *Layer) createContent(ctx context.Context, c *call) (response, error) {
	size, err := strconv.ParseInt(c.Header.Get("Upload-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return response{}, missingProperty("Upload-Content-Length")
	}
	if size > l.cfg.MaxContent {
		return response{}, errTooLarge
	}
	id, err := kindContent.NextID(ctx, l.records)
	if err != nil {
		return response{}, err
	}
	made := &content{ID: id, UUID: uuid.NewString(), Owner: c.view.viewer.User, Created: time.Now()}
	if err := l.keep(ctx, nil, made); err != nil {
		return response{}, err
	}
	body := l.contentObject(made.UUID, size)
	body.UploadURL = l.contentURL(made.UUID) + "/upload"
	return response{status: http.StatusCreated, body: body}, nil
}

// refreshContent answers GET /content/UUID: where to download.
func (l *Layer) refreshContent(ctx context.Context, c *call) (response, error) {
	found, err := l.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	if found.Owner != c.view.viewer.User {
		return response{}, errNotFound
	}
	return response{status: http.StatusOK, body: l.contentObject(found.UUID, int64(len(found.data)))}, nil
}

// awaited refuses an upload for which there is no place, before it is read.
func (l *Layer) awaited(ctx context.Context, c *call) error {
	found, err := l.contentNamed(ctx, c.PathValue("uuid"))
	if err == nil && found.Filled {
		err = errIDTaken
	}
	return err
}

// upload answers PUT of the bytes, once. The SDKs send no session along.
func (l *Layer) upload(ctx context.Context, c *call) (response, error) {
	if len(c.body) == 0 {
		return response{}, errUnparsable
	}
	found, err := l.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	_, leave := l.users.enter(found.Owner)
	defer leave()
	if found, err = l.contentNamed(ctx, found.UUID); err != nil {
		return response{}, err
	}
	if found.Filled {
		return response{}, errIDTaken
	}
	found.Filled, found.data = true, c.body
	found.Type = mimetype.Detect(c.body).String()
	return response{status: http.StatusOK}, l.keep(ctx, nil, found)
}

// inline are the types that a browser may show; all else it saves.
var inline = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// download answers GET of the bytes. They come from consumers: nothing of them
// may run in the name of our host.
func (l *Layer) download(w http.ResponseWriter, r *http.Request) {
	found, err := l.contentNamed(r.Context(), r.PathValue("uuid"))
	if err == nil && !found.Filled {
		err = errNotFound
	}
	if err != nil {
		l.writeRefusal(w, l.refusalOf(r.Context(), err, r.Pattern))
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "private, max-age=86400")
	media, _, _ := mime.ParseMediaType(found.Type)
	if inline[media] {
		h.Set("Content-Type", media)
	} else {
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", "attachment; filename=\"file"+extension(found.Type)+"\"")
	}
	http.ServeContent(w, r, "", found.Created, bytes.NewReader(found.data))
}

// extension is the usual end of a file's name of a type.
func extension(media string) string {
	if m := mimetype.Lookup(media); m != nil && !strings.ContainsAny(m.Extension(), `"\`) {
		return m.Extension()
	}
	return ""
}
