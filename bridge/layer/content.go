package layer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

func (c *content) record() (bridge.Record, error) {
	head, err := json.Marshal(c)
	if err != nil {
		return bridge.Record{}, fmt.Errorf("encode content: %w", err)
	}
	return bridge.Record{
		Kind: kindContent, ID: c.ID, Parent: c.Owner, Keys: []string{uuidKey(c.UUID)},
		Data: append(append(head, '\n'), c.data...), Time: c.Created,
	}, nil
}

func (l *Layer) contentNamed(ctx context.Context, uuid string) (*content, error) {
	r, err := l.records.Find(ctx, kindContent, uuidKey(uuid))
	if err != nil {
		return nil, err
	}
	head, data, _ := bytes.Cut(r.Data, []byte("\n"))
	c := &content{data: data}
	if err := json.Unmarshal(head, c); err != nil {
		return nil, fmt.Errorf("decode content %d: %w", r.ID, err)
	}
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

func (l *Layer) contentAnswer(uuid string, size int64) contentAnswer {
	return contentAnswer{
		ID: prefixContent + uuid, DownloadURL: l.downloadURL(uuid), RefreshURL: l.contentURL(uuid),
		Expiration: iso(time.Now().Add(contentLife)), Size: size,
	}
}

// createContent answers POST /content: where to upload.
func (l *Layer) createContent(ctx context.Context, c *call) (answer, error) {
	size, err := strconv.ParseInt(c.Header.Get("Upload-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return answer{}, missingProperty("Upload-Content-Length")
	}
	if size > l.cfg.MaxContent {
		return answer{}, errTooLarge
	}
	id, err := l.records.NextID(ctx, kindContent)
	if err != nil {
		return answer{}, err
	}
	made := &content{ID: id, UUID: uuid.NewString(), Owner: c.view.person.User, Created: time.Now()}
	if err := l.save(ctx, []recordable{made}); err != nil {
		return answer{}, err
	}
	body := l.contentAnswer(made.UUID, size)
	body.UploadURL = l.contentURL(made.UUID) + "/upload"
	return answer{status: http.StatusCreated, body: body}, nil
}

// refreshContent answers GET /content/UUID: where to download.
func (l *Layer) refreshContent(ctx context.Context, c *call) (answer, error) {
	found, err := l.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return answer{}, err
	}
	if found.Owner != c.view.person.User {
		return answer{}, errNotFound
	}
	return answer{status: http.StatusOK, body: l.contentAnswer(found.UUID, int64(len(found.data)))}, nil
}

// upload answers PUT of the bytes, once. The SDKs send no session along.
func (l *Layer) upload(ctx context.Context, c *call) (answer, error) {
	if len(c.body) == 0 {
		return answer{}, errUnparsable
	}
	found, err := l.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return answer{}, err
	}
	_, leave := l.users.enter(found.Owner)
	defer leave()
	if found, err = l.contentNamed(ctx, found.UUID); err != nil {
		return answer{}, err
	}
	if found.Filled {
		return answer{}, errIDTaken
	}
	found.Filled, found.data = true, c.body
	found.Type = mimetype.Detect(c.body).String()
	return answer{status: http.StatusOK}, l.save(ctx, []recordable{found})
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
