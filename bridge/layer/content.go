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

func (h *history) contentNamed(ctx context.Context, uuid string) (*content, error) {
	r, err := h.records.Find(ctx, string(kindContent), uuidKey(uuid))
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
func (h *history) uploaded(ctx context.Context, owner, uuid, field string) (*content, error) {
	c, err := h.contentNamed(ctx, uuid)
	if errors.Is(err, bridge.ErrNoRecord) || err == nil && (c.Owner != owner || !c.Filled) {
		return nil, invalidProperty(field+".content.id", "is not content that the user uploaded")
	}
	return c, err
}

func (a *addresses) contentURL(uuid string) string { return a.base + "/content/" + uuid }

func (a *addresses) downloadURL(uuid string) string { return a.contentURL(uuid) + "/file" }

func (a *addresses) contentObject(uuid string, size int64) contentObject {
	return contentObject{
		ID: prefixContent + uuid, DownloadURL: a.downloadURL(uuid), RefreshURL: a.contentURL(uuid),
		Expiration: iso(time.Now().Add(contentLife)), Size: size,
	}
}

// createContent answers POST /content: where to upload.
func (api *restAPI) createContent(ctx context.Context, c *call) (response, error) {
	size, err := strconv.ParseInt(c.Header.Get("Upload-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return response{}, missingProperty("Upload-Content-Length")
	}
	if size > api.cfg.MaxContent {
		return response{}, errTooLarge
	}
	id, err := kindContent.NextID(ctx, api.records)
	if err != nil {
		return response{}, err
	}
	made := &content{ID: id, UUID: uuid.NewString(), Owner: c.view.viewer.User, Created: time.Now()}
	if err := api.keep(ctx, nil, made); err != nil {
		return response{}, err
	}
	body := api.contentObject(made.UUID, size)
	body.UploadURL = api.contentURL(made.UUID) + "/upload"
	return response{status: http.StatusCreated, body: body}, nil
}

// refreshContent answers GET /content/UUID: where to download.
func (api *restAPI) refreshContent(ctx context.Context, c *call) (response, error) {
	found, err := api.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	if found.Owner != c.view.viewer.User {
		return response{}, errNotFound
	}
	return response{status: http.StatusOK, body: api.contentObject(found.UUID, int64(len(found.data)))}, nil
}

// awaited refuses an upload for which there is no place, before it is read.
func (api *restAPI) awaited(ctx context.Context, c *call) error {
	found, err := api.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return err
	}
	if found.Filled {
		return errIDTaken
	}
	c.user = found.Owner
	return nil
}

// upload answers PUT of the bytes, once. The SDKs send no session along.
func (api *restAPI) upload(ctx context.Context, c *call) (response, error) {
	if len(c.body) == 0 {
		return response{}, errUnparsable
	}
	found, err := api.contentNamed(ctx, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	_, leave := api.users.enter(found.Owner)
	defer leave()
	if found, err = api.contentNamed(ctx, found.UUID); err != nil {
		return response{}, err
	}
	if found.Filled {
		return response{}, errIDTaken
	}
	found.Filled, found.data = true, c.body
	found.Type = mimetype.Detect(c.body).String()
	return response{status: http.StatusOK}, api.keep(ctx, nil, found)
}

// inline are the types that a browser may show; all else it saves.
var inline = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

// download answers GET of the bytes. They come from consumers: nothing of them
// may run in the name of our host.
func (api *restAPI) download(w http.ResponseWriter, r *http.Request) {
	found, err := api.contentNamed(r.Context(), r.PathValue("uuid"))
	if err == nil && !found.Filled {
		err = errNotFound
	}
	if err != nil {
		api.writeRefusal(w, api.refusalOf(r.Context(), err, r.Pattern))
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
