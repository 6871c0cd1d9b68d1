package lpsim

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	hostedFile      = "hosted/file"
	maxPreviewBytes = 30 << 10
	urlLife         = time.Minute
)

var (
	// uploadTypes are those a consumer may send (File Sharing).
	uploadTypes = []string{"JPG", "JPEG", "PNG", "GIF"}
	// documentTypes are those agents send too, and consumers of the mobile SDK.
	documentTypes = []string{"PDF", "DOCX", "PPTX", "XLSX"}
)

// uploadable tells whether a consumer may send this type of file.
func (f *inForce) uploadable(kind string) bool {
	return slices.Contains(uploadTypes, kind) || f.ConsumerFileTypes == "documents" && slices.Contains(documentTypes, kind)
}

// file is one path of the storage; data is nil until it was uploaded.
type file struct {
	owner string // lp_consumer_id
	kind  string
	size  int64
	data  []byte
}

// files is the Swift storage with its signed URLs.
type files struct {
	account string
	most    int64
	now     func() time.Time
	key     []byte

	mu    sync.Mutex
	paths map[string]*file
	order []string
	bytes int64
}

func newFiles(c Config) *files {
	f := &files{account: c.Account, most: c.MaxFileBytes, now: c.Now, key: make([]byte, 20), paths: map[string]*file{}}
	rand.Read(f.key)
	return f
}

// reserve makes a path of the documented form.
func (f *files) reserve(owner, kind string, size int64) string {
	now := f.now().UTC()
	path := "/v1/AUTH_async-images/" + f.account + "/" + owner + "_uuid_" + uuid.NewString() + "_" +
		now.Format("02-01-2006_15-04-05") + "-" + strconv.Itoa(now.Nanosecond()/1e6) + "." + kind
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[path] = &file{owner: owner, kind: kind, size: size}
	f.order = append(f.order, path)
	f.makeRoom(0)
	return path
}

// maxPaths bounds reservations that were never used.
const maxPaths = 100_000

// makeRoom forgets the oldest files until so many bytes more fit.
func (f *files) makeRoom(more int64) {
	for len(f.order) > 1 && (f.bytes+more > f.most || len(f.order) > maxPaths) {
		f.bytes -= int64(len(f.paths[f.order[0]].data))
		delete(f.paths, f.order[0])
		f.order = f.order[1:]
	}
}

func (f *files) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths, f.order, f.bytes = map[string]*file{}, nil, 0
}

func (f *files) get(path string) (file, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.paths[path]
	if found == nil {
		return file{}, false
	}
	return *found, true
}

func (f *files) put(path string, data []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paths[path] == nil {
		return false
	}
	f.makeRoom(int64(len(data)))
	target := f.paths[path]
	if target == nil {
		return false
	}
	f.bytes += int64(len(data) - len(target.data))
	target.data = data
	return true
}

// sign is OpenStack Swift's temporary URL signature; it holds for one method only.
func (f *files) sign(method, path, expires string) string {
	mac := hmac.New(sha1.New, f.key)
	mac.Write([]byte(method + "\n" + expires + "\n" + path))
	return hex.EncodeToString(mac.Sum(nil))
}

type signedURL struct {
	RelativePath string            `json:"relativePath"`
	QueryParams  map[string]string `json:"queryParams"`
}

func (f *files) url(method, path string) signedURL {
	expires := strconv.FormatInt(f.now().Add(urlLife).Unix(), 10)
	return signedURL{path, map[string]string{"temp_url_sig": f.sign(method, path, expires), "temp_url_expires": expires}}
}

// fileSize is a string in the schema and a number in LivePerson's own examples.
type fileSize int64

// UnmarshalJSON takes both forms.
func (s *fileSize) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	*s = fileSize(n)
	return err
}

func (f *files) uploadURL(c *call, claims consumerClaims, r *request) outcome {
	var body struct {
		Size fileSize `json:"fileSize"`
		Type string   `json:"fileType"`
	}
	if json.Unmarshal(r.Body, &body) != nil || body.Size < 1 || body.Size > fileSize(c.faults.UploadLimitBytes) || !c.faults.uploadable(body.Type) {
		return c.badRequest(r, "fileSize is not 1 to uploadLimitBytes, or fileType not allowed", pageFiles)
	}
	path := f.reserve(claims.LPConsumerID, body.Type, int64(body.Size))
	return granted(r, f.url(http.MethodPut, path))
}

func (f *files) downloadURL(c *call, claims consumerClaims, r *request) outcome {
	var body struct {
		Path string `json:"relativePath"`
	}
	if json.Unmarshal(r.Body, &body) != nil {
		return c.badRequest(r, "body has no relativePath", pageFiles)
	}
	found, ok := f.get(body.Path)
	switch {
	case !ok || found.data == nil:
		return c.badRequest(r, "there is no such file", pageFiles)
	case found.owner != claims.LPConsumerID:
		return outcome{auth: c.deny(foreignConversation(c.faults), "the file belongs to another consumer")}
	}
	return granted(r, f.url(http.MethodGet, body.Path))
}

// serve answers PUT and GET of signed URLs, and knows no LivePerson tokens. Pages of other origins may use them too: LivePerson's
// demo app uploads from the browser.
func (f *files) serve(c *call) answer {
	a := answer{status: http.StatusOK}
	if c.Method != http.MethodOptions {
		a = f.serveSigned(c)
	}
	a.header = map[string]string{"Access-Control-Allow-Origin": "*"}
	if c.Method == http.MethodOptions {
		a.header["Access-Control-Allow-Methods"], a.header["Access-Control-Allow-Headers"] = "GET, PUT", "Content-Type"
	}
	return a
}

// serveSigned stores or gives a file at a signed address, which it checks.
func (f *files) serveSigned(c *call) answer {
	query := c.URL.Query()
	expires := query.Get("temp_url_expires")
	until, err := strconv.ParseInt(expires, 10, 64)
	want := f.sign(c.Method, c.URL.Path, expires)
	if err != nil || until <= f.now().Unix() || !hmac.Equal([]byte(want), []byte(query.Get("temp_url_sig"))) {
		c.because("the signed address has expired, was made for the other method, or is not ours", pageFiles)
		return answer{status: http.StatusUnauthorized, body: []byte("401 Unauthorized: Temp URL invalid\n"), kind: "text/plain; charset=utf-8"}
	}
	if c.Method == http.MethodPut {
		if !f.put(c.URL.Path, c.body) {
			return plainError(http.StatusNotFound)
		}
		return answer{status: http.StatusCreated}
	}
	found, ok := f.get(c.URL.Path)
	if !ok || found.data == nil {
		return plainError(http.StatusNotFound)
	}
	return answer{status: http.StatusOK, body: found.data, kind: mediaType(found.kind)}
}

// mediaType names images only: anything else must not be shown by a browser on the agent page's origin.
func mediaType(kind string) string {
	switch strings.ToUpper(kind) {
	case "PNG", "GIF", "JPEG":
		return "image/" + strings.ToLower(kind)
	case "JPG":
		return "image/jpeg"
	}
	return "application/octet-stream"
}

// sendable wants a message that names a file the same consumer uploaded, in a permitted type, with the size that was
// announced.
func (f *files) sendable(owner string, message json.RawMessage, force *inForce) bool {
	var m struct {
		RelativePath string `json:"relativePath"`
		FileType     string `json:"fileType"`
		Preview      string `json:"preview"`
	}
	if !isObject(message) || json.Unmarshal(message, &m) != nil || !force.uploadable(m.FileType) || len(m.Preview) > maxPreviewBytes {
		return false
	}
	found, ok := f.get(m.RelativePath)
	return ok && found.owner == owner && len(found.data) > 0 && int64(len(found.data)) == found.size
}

// keepAgents stores what an agent sends to a consumer and writes the message that names it.
func (f *files) keepAgents(consumerID string, sent *AgentFile, data []byte) json.RawMessage {
	path := f.reserve(consumerID, sent.FileType, int64(len(data)))
	f.put(path, data)
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(struct {
		Caption      string `json:"caption"`
		RelativePath string `json:"relativePath"`
		FileType     string `json:"fileType"`
		Preview      string `json:"preview,omitempty"`
	}{sent.Caption, path, sent.FileType, sent.Preview})
	return bytes.TrimSpace(b.Bytes())
}
