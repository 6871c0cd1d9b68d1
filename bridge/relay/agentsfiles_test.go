package relay_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// agentSends lets an agent send a file and returns what the channel got.
func (r *rig) agentSends(f lpsim.AgentFile) bridge.Event {
	r.t.Helper()
	r.say("t-1", "e-1", "hello")
	synctest.Wait()
	if _, err := r.sim.AgentMessage(r.conversation().ConversationID, lpsim.AgentMessage{File: &f}); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Second)
	events := r.channel.events()
	i := slices.IndexFunc(events, func(e bridge.Event) bool { return e.Kind == bridge.KindMessage })
	if i < 0 {
		r.t.Fatal("the channel got no message")
	}
	return events[i]
}

// get asks for an address of ours.
func (r *rig) get(method, address string) *httptest.ResponseRecorder {
	r.t.Helper()
	path, ours := strings.CutPrefix(address, home)
	if !ours {
		r.t.Fatalf("%s is not ours", address)
	}
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, httptest.NewRequestWithContext(r.t.Context(), method, path, nil))
	return rec
}

func agentPicture(t *testing.T) lpsim.AgentFile {
	return lpsim.AgentFile{Caption: "Rechnung März", FileType: "PNG", ContentBase64: base64.StdEncoding.EncodeToString(pngFile(t))}
}

func TestAgentsFileReachesTheChannel(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		got := r.agentSends(agentPicture(t)).Message
		if got.Text != "Rechnung März" || len(got.Attachments) != 1 {
			t.Fatalf("%+v", got)
		}
		a := got.Attachments[0]
		if a.ContentType != "image/png" || a.Name != "Rechnung März.png" {
			t.Errorf("%+v", a)
		}
		if token, ok := strings.CutPrefix(a.URL, home+"/files/"); !ok || len(token) < 26 {
			t.Errorf("address %q", a.URL)
		}
		// LivePerson's own address is long expired.
		time.Sleep(time.Hour)
		rec := r.get("GET", a.URL)
		if rec.Code != 200 || !bytes.Equal(rec.Body.Bytes(), pngFile(t)) {
			t.Fatalf("%d with %d bytes", rec.Code, rec.Body.Len())
		}
		for header, want := range map[string]string{
			"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600",
			"Content-Disposition":     "inline; filename*=utf-8''Rechnung%20M%C3%A4rz.png",
			"Content-Security-Policy": "default-src 'none'; sandbox", "Content-Length": fmt.Sprint(len(pngFile(t))),
		} {
			if got := rec.Header().Get(header); got != want {
				t.Errorf("%s: %q, want %q", header, got, want)
			}
		}
		head := r.get("HEAD", a.URL)
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != fmt.Sprint(len(pngFile(t))) {
			t.Errorf("HEAD: %d, %d bytes, %v", head.Code, head.Body.Len(), head.Header())
		}
	})
}

func TestAgentsFileIsWhatItsBytesSay(t *testing.T) {
	tests := []struct {
		name, fileType, data string
		announced, served    string
		inline               bool
	}{
		{"pdf", "PDF", "%PDF-1.7\n", "application/pdf", "application/pdf", false},
		{"word", "docx", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip", false},
		{"slides", "PPTX", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.presentationml.presentation", "application/zip", false},
		{"sheet", "XLSX", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "application/zip", false},
		{"script in disguise", "PNG", "<html><script>alert(1)</script></html>", "image/png", "text/html; charset=utf-8", false},
		{"svg", "SVG", `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>`, "application/octet-stream", "image/svg+xml", false},
		{"unknown type", "../x", "\x00\x01\x02\x03", "application/octet-stream", "application/octet-stream", false},
		{"gif called img", "IMG", "GIF89a\x01\x00\x01\x00\x00\x00\x00;", "application/octet-stream", "image/gif", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
				got := r.agentSends(lpsim.AgentFile{Caption: "x", FileType: test.fileType, ContentBase64: base64.StdEncoding.EncodeToString([]byte(test.data))})
				a := got.Message.Attachments[0]
				if a.ContentType != test.announced || strings.ContainsAny(a.Name, "/\\") {
					t.Errorf("announced %+v", a)
				}
				rec := r.get("GET", a.URL)
				if got := rec.Header().Get("Content-Type"); rec.Code != 200 || got != test.served {
					t.Errorf("%d %q, want %q", rec.Code, got, test.served)
				}
				if inline := strings.HasPrefix(rec.Header().Get("Content-Disposition"), "inline"); inline != test.inline {
					t.Errorf("%s", rec.Header().Get("Content-Disposition"))
				}
				if rec.Body.String() != test.data {
					t.Errorf("%d bytes, want %d", rec.Body.Len(), len(test.data))
				}
			})
		})
	}
}

func TestAgentsFileWithoutAPublicAddress(t *testing.T) {
	for caption, want := range map[string]string{"Rechnung": "Rechnung\n" + bridge.UnshownFile, "": bridge.UnshownFile} {
		inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
			f := agentPicture(t)
			f.Caption = caption
			r.wire.restartClock()
			got := r.agentSends(f).Message
			if got.Text != want || len(got.Attachments) != 0 || !got.Placeholder {
				t.Errorf("%+v, want the text %q in its stead", got, want)
			}
			if calls := r.wire.timeline(); len(calls) == 0 || !strings.HasSuffix(calls[len(calls)-1], "NACK") {
				t.Errorf("the agent is told %v, want NACK", calls)
			}
		})
	}
}

// TestChannelsThatUploadNeedNoPublicAddress: they are given the bytes.
func TestChannelsThatUploadNeedNoPublicAddress(t *testing.T) {
	ch := newChannel()
	ch.about.Uploads = true
	inBubble(t, rigOptions{channel: ch}, func(t *testing.T, r *rig) {
		r.wire.restartClock()
		got := r.agentSends(agentPicture(t)).Message
		if len(got.Attachments) != 1 || got.Placeholder || strings.Contains(got.Attachments[0].URL, "://") {
			t.Fatalf("%+v, want a file without an address", got)
		}
		f, err := r.core.File(t.Context(), got.Attachments[0])
		if err != nil {
			t.Fatal(err)
		}
		defer f.Body.Close()
		if data, err := io.ReadAll(f.Body); err != nil || !bytes.Equal(data, pngFile(t)) {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if calls := r.wire.timeline(); !slices.ContainsFunc(calls, func(c string) bool { return strings.HasSuffix(c, "ACCEPT") }) {
			t.Errorf("the agent is told %v, want ACCEPT", calls)
		}
	})
}

func TestAgentsFileWithoutACaption(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		f := agentPicture(t)
		f.Caption = ""
		got := r.agentSends(f).Message
		if got.Text != "" || len(got.Attachments) != 1 || got.Attachments[0].Name != "file.png" {
			t.Errorf("%+v", got)
		}
	})
}

// download is a fault of the fetching of a file from LivePerson's storage.
func download(f fault) fault {
	return func(r *http.Request, body string) (*http.Response, error) {
		if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/") {
			return f(r, body)
		}
		return nil, nil
	}
}

// expired is what the storage says to an address whose minute is over.
func expired(*http.Request, string) (*http.Response, error) {
	return answer(401, "401 Unauthorized: Temp URL invalid\n"), nil
}

func TestFilesThatCannotBeServed(t *testing.T) {
	unknown := home + "/files/" + strings.Repeat("A", 26)
	downloads := func(f fault) func(r *rig) {
		return func(r *rig) { r.wire.fail(download(f)) }
	}
	asks := func(status int, header ...string) func(r *rig) {
		f := says(status, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`, header...)
		return func(r *rig) { r.wire.fail(about("GenerateURLForDownloadFile", f)) }
	}
	tests := []struct {
		name    string
		address string
		prepare func(r *rig)
		status  int
	}{
		{"unknown token", unknown, nil, 404},
		{"no token", home + "/files/x", nil, 404},
		{"odd token", home + "/files/" + strings.Repeat("%20", 26), nil, 404},
		{"gone at liveperson", "", asks(400), 404},
		{"gone in the storage", "", downloads(answers(404)), 404},
		{"throttled", "", asks(429, "Retry-After", "9"), 503},
		{"liveperson is down", "", asks(503), 503},
		{"unauthorized", "", downloads(answers(401)), 502},
		{"connection lost", "", downloads(isLost), 503},
		{"too large", "", downloads(func(*http.Request, string) (*http.Response, error) {
			resp := answer(200, "")
			resp.ContentLength = 1 << 30
			return resp, nil
		}), 502},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
				address := r.agentSends(agentPicture(t)).Message.Attachments[0].URL
				if test.address != "" {
					address = test.address
				}
				if test.prepare != nil {
					test.prepare(r)
				}
				rec := r.get("GET", address)
				var problem bridge.Problem
				if err := json.Unmarshal(rec.Body.Bytes(), &problem); err != nil || problem.Status != test.status || rec.Code != test.status {
					t.Errorf("%d %s, want %d", rec.Code, rec.Body, test.status)
				}
				if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
					t.Errorf("Content-Type %q", got)
				}
				if test.status == 503 && rec.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				if rec.Header().Get("Cache-Control") != "no-store" {
					t.Error("a failure may be cached")
				}
			})
		})
	}
}

func TestDownloadAddressThatExpiredIsAskedForAgain(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		address := r.agentSends(agentPicture(t)).Message.Attachments[0].URL
		var n atomic.Int64
		r.wire.fail(download(inTurn(counted(&n, expired))))
		if rec := r.get("GET", address); rec.Code != 200 || n.Load() != 1 {
			t.Errorf("%d after %d expired addresses", rec.Code, n.Load())
		}
	})
}

func TestFileThatBreaksOffDoesNotLookWhole(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		address := r.agentSends(agentPicture(t)).Message.Attachments[0].URL
		r.wire.fail(download(func(*http.Request, string) (*http.Response, error) {
			resp := answer(200, "")
			resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 10_000)), brokenReader{}))
			resp.ContentLength = -1
			return resp, nil
		}))
		defer func() {
			if lost := recover(); lost != http.ErrAbortHandler {
				t.Errorf("ended with %v, want the connection cut", lost)
			}
		}()
		r.get("GET", address)
	})
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestFileStaysAfterARepeatedNotification(t *testing.T) {
	inBubble(t, rigOptions{adjust: uploading(t)}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{WebhookDuplicateRate: 1})
		address := r.agentSends(agentPicture(t)).Message.Attachments[0].URL
		time.Sleep(time.Minute)
		if got := r.channel.messages(); len(got) != 1 {
			t.Errorf("messages %v, want one", got)
		}
		if rec := r.get("GET", address); rec.Code != 200 {
			t.Errorf("%d", rec.Code)
		}
	})
}
