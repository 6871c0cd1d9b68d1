package picture

import (
	"archive/zip"
	"bytes"
	"strings"
)

// signaturePDF begins a PDF (ISO 32000, 7.5.2), and signatureZIP every file that is
// a ZIP archive, as office documents are (ECMA-376, part 2).
const (
	signaturePDF = "%PDF-"
	signatureZIP = "PK\x03\x04"
)

// officeParts are the main parts of the office documents that LivePerson takes, by
// its names of the types (ECMA-376, part 1).
var officeParts = map[string]string{"word/document.xml": "DOCX", "ppt/presentation.xml": "PPTX", "xl/workbook.xml": "XLSX"}

// mayBeDocument tells by its first bytes what readDocument may know.
func mayBeDocument(head []byte) bool {
	return bytes.HasPrefix(head, []byte(signaturePDF)) || bytes.HasPrefix(head, []byte(signatureZIP))
}

// readDocument decides by the bytes what a document is; nil when it is none that
// LivePerson takes. One with macros is none of those: its parts are the same, its
// type is another.
func readDocument(data []byte) *File {
	if bytes.HasPrefix(data, []byte(signaturePDF)) {
		return &File{Data: data, FileType: "PDF", document: true}
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil
	}
	kind := ""
	parts := map[string]bool{}
	for _, f := range archive.File {
		parts[f.Name] = true
		if name := officeParts[f.Name]; name != "" {
			kind = name
		}
		if strings.HasSuffix(f.Name, "vbaProject.bin") {
			return nil
		}
	}
	if kind == "" || !parts["[Content_Types].xml"] {
		return nil
	}
	return &File{Data: data, FileType: kind, document: true}
}
