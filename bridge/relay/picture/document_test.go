package picture

import (
	"archive/zip"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"lpbridge/connector"
)

// archive is a ZIP file with empty parts.
func archive(t *testing.T, parts ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range parts {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const contentTypes = "[Content_Types].xml"

func TestDocuments(t *testing.T) {
	pdf := []byte("%PDF-1.7\n1 0 obj")
	word := archive(t, contentTypes, "_rels/.rels", "word/document.xml")
	for _, tc := range []struct {
		name string
		data []byte
		// off is what becomes of it where the account takes none, on where it does:
		// LivePerson's type, or the reason for a link.
		off, on string
	}{
		{"pdf", pdf, "type", "PDF"},
		{"word", word, "type", "DOCX"},
		{"powerpoint, in another order", archive(t, "ppt/presentation.xml", "docProps/app.xml", contentTypes), "type", "PPTX"},
		{"excel", archive(t, contentTypes, "xl/workbook.xml", "xl/worksheets/sheet1.xml"), "type", "XLSX"},
		{"word with macros", archive(t, contentTypes, "word/document.xml", "word/vbaProject.bin"), "type", "type"},
		{"opendocument", archive(t, "mimetype", "content.xml"), "type", "type"},
		{"archive", archive(t, "a.exe"), "type", "type"},
		{"archive with a part of that name", archive(t, "word/document.xml"), "type", "type"},
		{"cut short", word[:len(word)/2], "type", "type"},
		{"pdf after other bytes", append([]byte("hello "), pdf...), "type", "type"},
		{"as large as may be", append(pdf, make([]byte, connector.MaxDocumentBytes-len(pdf))...), "type", "PDF"},
		{"a byte too large", append(pdf, make([]byte, connector.MaxDocumentBytes-len(pdf)+1)...), "type", "size"},
		{"picture", pngOf(t, quarters(8, 8)), "PNG", "PNG"},
		{"picture of four megabytes", append(pngOf(t, quarters(8, 8)), make([]byte, 4<<20)...), "size", "size"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(tc.data) }))
			defer host.Close()
			for documents, want := range map[bool]string{false: tc.off, true: tc.on} {
				f := NewFetcher(NewGuard(true), nil, http.NotFoundHandler(), documents)
				file, err := f.File(t.Context(), host.URL)
				f.Close()
				got := ""
				if failed, ok := errors.AsType[*FetchError](err); ok {
					got = string(failed.Reason)
				} else if err == nil && bytes.Equal(tc.data, file.Data) {
					got = file.FileType
				}
				if got != want {
					t.Errorf("documents %t: %s, want %s (%v)", documents, got, want, err)
				}
			}
		})
	}
}

func TestDocumentsHaveNoPreview(t *testing.T) {
	if got := NewPreviews().Of(t.Context(), readDocument([]byte("%PDF-1.4"))); got != "" {
		t.Errorf("preview %q", got)
	}
}
