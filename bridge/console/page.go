package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed page
var page embed.FS

// pageFile is one file of the page, served from memory.
type pageFile struct {
	path        string // a pattern of [http.ServeMux]
	contentType string
	etag        string
	content     []byte
}

// pageNames are the files of the page, without what is in them.
var pageNames = []pageFile{
	{path: "/{$}", contentType: "text/html; charset=utf-8"},
	{path: "/console.css", contentType: "text/css; charset=utf-8"},
	{path: "/console.js", contentType: "text/javascript; charset=utf-8"},
	{path: "/icon.svg", contentType: "image/svg+xml"},
}

func pageFiles() []pageFile {
	files := slices.Clone(pageNames)
	for i, f := range files {
		name := strings.TrimPrefix(f.path, "/")
		if name == "{$}" {
			name = "index.html"
		}
		content, err := page.ReadFile("page/" + name)
		if err != nil {
			panic(err) // the files are part of the binary
		}
		sum := sha256.Sum256(content)
		files[i].content, files[i].etag = content, `"`+hex.EncodeToString(sum[:8])+`"`
	}
	return files
}

// ServeHTTP implements [http.Handler].
func (f pageFile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", f.etag)
	// The page of another version must not be shown with this version's answers.
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
