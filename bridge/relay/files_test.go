package relay_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

const home = "https://bridge.test/base"

// media is what lies under our own public address in these tests, so that files
// are fetched without a network.
type media struct {
	mu    sync.Mutex
	files map[string][]byte
	// fail answers instead when it gives a status.
	fail  func(n int) int
	asked int
}

func (m *media) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.fail != nil {
		if status := m.fail(m.asked); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	data, ok := m.files[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Write(data)
}

// fetched is how often a file was asked for.
func (m *media) fetched() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

func pngFile(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 60, 40))
	for y := range 40 {
		for x := range 60 {
			img.Set(x, y, color.RGBA{uint8(4 * x), uint8(6 * y), 90, 255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// withFiles is a rig whose channel has a file store under the public address.
func withFiles(t *testing.T) (rigOptions, *media) {
	t.Helper()
	m := &media{files: map[string][]byte{"a.png": pngFile(t), "b.png": pngFile(t), "doc.pdf": []byte("%PDF-1.7\n...")}}
	ch := newChannel()
	ch.routes = []bridge.Route{{Pattern: "GET /media/{name}", Handler: m}}
	return rigOptions{channel: ch, adjust: uploading(t)}, m
}

func uploading(t *testing.T) func(*relay.Options) {
	public, err := url.Parse(home)
	if err != nil {
		t.Fatal(err)
	}
	return func(o *relay.Options) { o.PublicURL, o.Attachments = public, relay.AttachmentsUpload }
}

// send accepts a message with files.
func (r *rig) send(thread, id, text string, files ...string) {
	r.t.Helper()
	e := event(bridge.KindMessage, thread, id)
	e.Message = &bridge.Message{Text: text}
	for _, name := range files {
		e.Message.Attachments = append(e.Message.Attachments, bridge.Attachment{URL: home + "/media/" + name, Name: name})
	}
	r.accept(e)
}

type sentFile struct {
	Caption      string `json:"caption"`
	RelativePath string `json:"relativePath"`
	FileType     string `json:"fileType"`
	Preview      string `json:"preview"`
}

// consumerMessages lists what the agent sees of the consumer, files as
// "[caption type]".
func consumerMessages(t *testing.T, c lpsim.Conversation) []string {
	t.Helper()
	var lines []string
	for _, e := range c.Transcript {
		switch {
		case e.Role != "CONSUMER" || e.Type != "ContentEvent":
		case e.File != nil:
			f := fileOf(t, e)
			lines = append(lines, "["+f.Caption+" "+f.FileType+"]")
		default:
			lines = append(lines, e.Text)
		}
	}
	return lines
}

func fileOf(t *testing.T, e lpsim.Entry) sentFile {
	t.Helper()
	var f sentFile
	if err := json.Unmarshal(e.File, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func (r *rig) wantMessages(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, consumerMessages(r.t, r.conversation())); diff != "" {
		r.t.Errorf("transcript (-want +got):\n%s", diff)
	}
}

func TestPictureIsStoredWithLivePerson(t *testing.T) {
	o, m := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-1", "look", "a.png", "b.png")
		synctest.Wait()
		r.wantMessages("look", "[a.png PNG]", "[b.png PNG]")
		f := fileOf(t, r.conversation().Transcript[1])
		raw, ok := strings.CutPrefix(f.Preview, "data:image/jpeg;base64,")
		if _, err := base64.StdEncoding.DecodeString(raw); !ok || err != nil || len(f.Preview) >= 30_000 {
			t.Errorf("preview %.40s… of %d bytes (%v)", f.Preview, len(f.Preview), err)
		}
		file, err := newDownloader(t, r).Download(t.Context(), connector.ConsumerIdentity(ext("user-of-t-1")), f.RelativePath, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Body.Close()
		if data, err := io.ReadAll(file.Body); err != nil || !bytes.Equal(data, m.files["a.png"]) {
			t.Errorf("what was stored is not what was sent (%v)", err)
		}
	})
}

// newDownloader is a client of its own that looks at what the bridge stored.
func newDownloader(t *testing.T, r *rig) *connector.Client {
	client, end := newClient(t, r.sim.Transport())
	t.Cleanup(end)
	return client
}

func TestFilesThatGoAsLinks(t *testing.T) {
	tests := []struct {
		name string
		file string
		// prepare breaks something before the file is sent.
		prepare func(r *rig, m *media)
	}{
		{"another type", "doc.pdf", func(*rig, *media) {}},
		{"gone", "missing.png", func(*rig, *media) {}},
		{"too large", "large.png", func(_ *rig, m *media) {
			m.files["large.png"] = append(bytes.Clone(m.files["a.png"]), make([]byte, connector.MaxUploadBytes)...)
		}},
		{"corrupt", "cut.png", func(_ *rig, m *media) { m.files["cut.png"] = m.files["a.png"][:20] }},
		{"file sharing is off", "a.png", func(r *rig, _ *media) {
			r.wire.fail(about("GenerateURLForUploadFile", says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`)))
		}},
		{"liveperson refuses the message", "a.png", func(r *rig, _ *media) {
			r.wire.fail(about("hosted/file", says(400, `{"code":"BAD_REQUEST","body":{"msg":"check your file size"},"reqId":"1"}`)))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, m := withFiles(t)
			inBubble(t, o, func(t *testing.T, r *rig) {
				r.send("t-1", "e-0", "hello")
				synctest.Wait()
				test.prepare(r, m)
				began := time.Now()
				r.send("t-1", "e-1", "", test.file)
				r.send("t-1", "e-2", "after")
				time.Sleep(time.Second)
				r.wantMessages("hello", test.file+" "+home+"/media/"+test.file, "after")
				if waited := time.Since(began); waited > time.Second {
					t.Errorf("waited %v", waited)
				}
			})
		})
	}
}

func TestAccountWithoutAFileStorage(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
			if !strings.HasSuffix(req.URL.Path, "/baseURI.json") {
				return nil, nil
			}
			resp, err := r.wire.sim.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			list, err := io.ReadAll(resp.Body)
			return answer(resp.StatusCode, strings.ReplaceAll(string(list), `"swift"`, `"other"`)), err
		})
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(time.Second)
		r.wantMessages("a.png " + home + "/media/a.png")
	})
}

func TestLinksOnly(t *testing.T) {
	o, m := withFiles(t)
	o.adjust = nil
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-1", "look", "a.png")
		synctest.Wait()
		r.wantMessages("look", "a.png "+home+"/media/a.png")
		if m.fetched() != 0 {
			t.Error("a file was fetched")
		}
	})
}

func TestLinkTooLongForOneMessageIsNotFetched(t *testing.T) {
	o, m := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		e := event(bridge.KindMessage, "t-1", "e-1")
		e.Message = &bridge.Message{Attachments: []bridge.Attachment{{URL: home + "/media/a.png?" + strings.Repeat("x", 9000), Name: "a.png"}}}
		r.accept(e)
		time.Sleep(time.Second)
		whole := strings.Join(consumerTexts(r.conversation()), "")
		if want := "a.png" + e.Message.Attachments[0].URL; strings.ReplaceAll(whole, " ", "") != want {
			t.Errorf("the parts do not add up: %d bytes", len(whole))
		}
		if m.fetched() != 0 {
			t.Error("a file was fetched")
		}
	})
}

func TestCaptions(t *testing.T) {
	tests := map[string]struct{ name, path, want string }{
		"name":             {"Schaden vorne.png", "/media/a.png", "[Schaden vorne.png PNG]"},
		"end of the path":  {"", "/media/a.png?token=secret", "[a.png PNG]"},
		"control and path": {"../a\n\x1b[0m b.png", "/media/a.png", "[.. a [0m b.png PNG]"},
		"nothing to show":  {" .. ", "/media/a.png", "[file PNG]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o, _ := withFiles(t)
			inBubble(t, o, func(t *testing.T, r *rig) {
				e := event(bridge.KindMessage, "t-1", "e-1")
				e.Message = &bridge.Message{Attachments: []bridge.Attachment{{URL: home + test.path, Name: test.name}}}
				r.accept(e)
				synctest.Wait()
				r.wantMessages(test.want)
			})
		})
	}
}

func TestFileHostThatRecoversGetsItsFileThrough(t *testing.T) {
	o, m := withFiles(t)
	m.fail = func(n int) int {
		if n <= 2 {
			return 503
		}
		return 0
	}
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(time.Minute)
		r.wantMessages("[a.png PNG]")
		if m.fetched() != 3 {
			t.Errorf("asked %d times, want 3", m.fetched())
		}
	})
}

func TestFileHostThatStaysDownHoldsNothingUpForLong(t *testing.T) {
	o, m := withFiles(t)
	m.fail = func(int) int { return 503 }
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-1", "", "a.png")
		r.send("t-1", "e-2", "after")
		time.Sleep(time.Minute)
		r.wantMessages("a.png "+home+"/media/a.png", "after")
		if m.fetched() != 3 {
			t.Errorf("asked %d times, want 3", m.fetched())
		}
		if n := len(r.sim.Conversations()); n != 1 {
			t.Errorf("%d conversations, want 1", n)
		}
	})
}

func TestFileStorageFaults(t *testing.T) {
	tests := []struct {
		name   string
		faults lpsim.Faults
		want   string
	}{
		{"storage is down", lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.SwiftAPI: 1}}, "a.png " + home + "/media/a.png"},
		{"storage loses answers", lpsim.Faults{LostAnswerRate: lpsim.Rates{lpsim.SwiftAPI: 1}}, "a.png " + home + "/media/a.png"},
		{"storage is slow", lpsim.Faults{LatencyMinMs: 3000, LatencyMaxMs: 3000}, "[a.png PNG]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o, _ := withFiles(t)
			inBubble(t, o, func(t *testing.T, r *rig) {
				r.sim.SetFaults(test.faults)
				r.send("t-1", "e-1", "", "a.png")
				time.Sleep(2 * time.Minute)
				r.wantMessages(test.want)
			})
		})
	}
}

func TestUploadAddressThatExpiresIsAskedForAgain(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		var late atomic.Int64
		expires := inTurn(counted(&late, func(req *http.Request, body string) (*http.Response, error) {
			time.Sleep(59*time.Second + 500*time.Millisecond)
			return expired(req, body)
		}))
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if req.Method == http.MethodPut {
				return expires(req, body)
			}
			return nil, nil
		})
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(2 * time.Minute)
		r.wantMessages("[a.png PNG]")
		if late.Load() != 1 {
			t.Error("no address expired")
		}
	})
}

func TestThrottledUploadWaits(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.send("t-1", "e-0", "hello")
		synctest.Wait()
		throttled := slices.Repeat([]fault{answers(429, "Retry-After", "3")}, 5)
		r.wire.fail(about("GenerateURLForUploadFile", inTurn(throttled...)))
		r.send("t-1", "e-1", "", "a.png")
		time.Sleep(time.Minute)
		r.wantMessages("hello", "[a.png PNG]")
	})
}

func TestFileFollowsIntoANewConversation(t *testing.T) {
	o, _ := withFiles(t)
	inBubble(t, o, func(t *testing.T, r *rig) {
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.send("t-1", "e-1", "one")
		synctest.Wait()
		first := r.conversation().ConversationID
		if err := r.sim.AgentClose(first, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.send("t-1", "e-2", "", "a.png")
		time.Sleep(time.Second)
		if r.conversation().ConversationID == first {
			t.Fatal("no new conversation")
		}
		r.wantMessages("[a.png PNG]")
	})
}

func TestFilesWaitForASlotWithoutHoldingUpTexts(t *testing.T) {
	o, m := withFiles(t)
	var busy, most atomic.Int32
	o.channel.routes = append(o.channel.routes, bridge.Route{Pattern: "GET /media/slow", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), busy.Add(1)))
		defer busy.Add(-1)
		time.Sleep(3 * time.Second)
		w.Write(m.files["a.png"])
	})})
	inBubble(t, o, func(t *testing.T, r *rig) {
		const files = 40
		for i := range files {
			r.send(fmt.Sprint("file-", i), fmt.Sprint("f-", i), "", "slow")
		}
		synctest.Wait()
		r.send("text", "t-1", "quick")
		synctest.Wait()
		r.wantMessages("quick")
		if n := busy.Load(); n == 0 || n >= files {
			t.Errorf("%d files at once", n)
		}
		time.Sleep(10 * time.Second)
		if n := len(r.sim.Conversations()); n != files+1 {
			t.Errorf("%d conversations, want %d", n, files+1)
		}
		for _, s := range r.sim.Conversations() {
			c, _ := r.sim.Conversation(s.ConversationID)
			if got := consumerMessages(t, c); len(got) != 1 || got[0] != "[slow PNG]" && got[0] != "quick" {
				t.Errorf("%v", got)
			}
		}
		if most.Load() > 32 {
			t.Errorf("%d files at once, want at most 32", most.Load())
		}
	})
}
