package relay_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// TestAdaptersOpenAgentsFiles: channels that take files as uploads get the bytes
// of a file by its attachment, also without reaching our public address.
func TestAdaptersOpenAgentsFiles(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		a := r.agentSends(agentPicture(t)).Message.Attachments[0]
		// Closing gives the turn back, so there is no end of them.
		for range 40 {
			f, err := r.core.File(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f.Body)
			if err != nil || !bytes.Equal(data, pngFile(t)) || f.ContentType != "image/png" || f.Size != int64(len(data)) {
				t.Fatalf("%d bytes of %q, size %d, %v", len(data), f.ContentType, f.Size, err)
			}
			if err := f.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, address := range []string{
			"https://elsewhere.example/files/x", home + "/files/" + strings.Repeat("A", 26), home + "/files/", "", a.URL + "/..",
		} {
			if _, err := r.core.File(t.Context(), bridge.Attachment{URL: address}); !errors.Is(err, bridge.ErrNoFile) {
				t.Errorf("%q: %v, want no file", address, err)
			}
		}
	})
}

// TestFilesThatLieElsewhereAreFetched for channels that upload, unless they are too
// large, cannot be had, or turn out to be a page that asks for a login.
func TestFilesThatLieElsewhereAreFetched(t *testing.T) {
	opts, m := withFiles(t)
	m.files["huge.pdf"] = append([]byte("%PDF-1.7\n"), make([]byte, 11<<20)...)
	m.files["login.pdf"] = []byte("<!doctype html><title>Log in</title>")
	inBubble(t, opts, func(t *testing.T, r *rig) {
		file := func(name, kind string) (*bridge.File, error) {
			return r.core.File(t.Context(), bridge.Attachment{URL: home + "/media/" + name, ContentType: kind})
		}
		for range 2 * 4 {
			f, err := file("doc.pdf", "application/pdf")
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(f.Body)
			if err != nil || string(data) != "%PDF-1.7\n..." || f.ContentType != "application/pdf" || f.Size != int64(len(data)) {
				t.Errorf("%q of %q, size %d, %v", data, f.ContentType, f.Size, err)
			}
			if err := f.Body.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := file("login.pdf", "text/html; charset=utf-8"); err != nil {
			t.Errorf("a page that was announced as one: %v", err)
		}
		for _, name := range []string{"huge.pdf", "login.pdf", "none.pdf"} {
			if _, err := file(name, "application/pdf"); !errors.Is(err, bridge.ErrNoFile) {
				t.Errorf("%s: %v, want no file", name, err)
			}
		}
		m.fail = func(int) int { return 500 }
		if _, err := file("doc.pdf", "application/pdf"); !errors.Is(err, bridge.ErrNoFile) {
			t.Errorf("from a host that is ill: %v, want no file", err)
		}
	})
}

func TestFileThatMayComeLaterIsNotGone(t *testing.T) {
	for status, gone := range map[int]bool{400: true, 429: false, 503: false} {
		inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
			a := r.agentSends(agentPicture(t)).Message.Attachments[0]
			r.wire.fail(about("GenerateURLForDownloadFile", says(status, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`)))
			_, err := r.core.File(t.Context(), a)
			if err == nil || errors.Is(err, bridge.ErrNoFile) != gone {
				t.Errorf("%d: %v, want gone: %t", status, err, gone)
			}
		})
	}
}
