package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The tests of attacks do to a running bridge what a stranger or a neighbour would, each in
// several ways, and want it to keep within its memory and to serve others meanwhile.

// mostMemory is what Go may have taken of the machine at any time: below what each of the
// attacks once cost, and above what the bridge needs under the race detector.
const mostMemory = 512 << 20

// keepsWithin wants the bridge to have taken no more memory than it may, and to be ready.
func (p *process) keepsWithin() {
	p.t.Helper()
	told := regexp.MustCompile(`(?m)^go_memstats_sys_bytes (\S+)$`).FindStringSubmatch(get(p.t, p.admin+"/metrics").body)
	if told == nil {
		p.t.Fatal("the metrics do not say how much memory is taken")
	}
	taken, err := strconv.ParseFloat(told[1], 64)
	if err != nil || taken > mostMemory {
		p.t.Errorf("%.0f MiB of memory were taken, %v", taken/(1<<20), err)
	}
	p.t.Logf("%.0f MiB of memory were taken", taken/(1<<20))
	await(p.t, "that it is ready", func() bool { return get(p.t, p.admin+"/readyz").status == http.StatusOK })
}

// TestAttacksWithAttributes has anonymous consumers say more of themselves than anybody is.
func TestAttacksWithAttributes(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, nil)
	huge := strings.Repeat("x", 1_900_000)
	contact := x.chatwootContact("noisy")
	try := func(method, path, body string, header ...string) int {
		t.Helper()
		h := plainJSON.Clone()
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return do(t, method, x.p.public+path, h, body).status
	}
	if got := try(http.MethodPatch, publicAPI+"/noisy", `{"custom_attributes":{"a":"`+huge+`"}}`); got != http.StatusUnprocessableEntity {
		t.Errorf("1.9 MB of attributes: %d", got)
	}
	if got := try(http.MethodPost, publicAPI, `{"source_id":"born","custom_attributes":{"a":"`+huge+`"}}`); got != http.StatusUnprocessableEntity {
		t.Errorf("a contact with 1.9 MB of attributes: %d", got)
	}
	grown := 0
	for n := range 40 {
		if try(http.MethodPatch, publicAPI+"/noisy", fmt.Sprintf(`{"custom_attributes":{"a%d":%q}}`, n, strings.Repeat("y", 8_000))) == http.StatusOK {
			grown++
		}
	}
	if grown == 0 || grown > 8 {
		t.Errorf("attributes grew %d times by 8 kB", grown)
	}
	user := x.layerUser("noisy")
	if got := try(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false,"metadata":{"a":"`+huge+`"}}`, user.header...); got != http.StatusRequestEntityTooLarge {
		t.Errorf("1.9 MB of metadata: %d", got)
	}
	// One POST of 450 kB, which is many messages to LivePerson.
	for channel, talker := range map[string]*talker{"chatwootapi": contact, "layer": user} {
		if a := talker.says(strings.Repeat("z ", 225_000)); a.status/100 == 5 {
			t.Errorf("%s answered %d", channel, a.status)
		}
	}
	x.conversationFrom("quiet")
	m := watched(t, x.p)
	if size := m.value("lpbridge_journal_size_bytes", "file", "database") + m.value("lpbridge_journal_size_bytes", "file", "log"); size > 64<<20 {
		t.Errorf("the journal has %.0f bytes", size)
	}
	x.p.keepsWithin()
	x.p.kill()
}

// conversationFrom has somebody else write, whose words must arrive.
func (x *everyChannel) conversationFrom(source string) {
	x.t.Helper()
	if a := x.chatwootContact(source).says("words of " + source); a.status/100 != 2 {
		x.t.Errorf("somebody else is answered %d: %s", a.status, a.body)
	}
	await(x.t, "the words of somebody else", func() bool { return x.conversationWith("words of "+source) != "" })
}

// TestAttacksWithManyParts has those who sign send events of very many parts.
func TestAttacksWithManyParts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.away(t, true)
	settings := s.everyChannel()
	settings["CHATWOOT_ALLOW_UNSIGNED"] = "false"
	p := s.run(settings)
	post := func(path string, header http.Header, body string) answer {
		t.Helper()
		return do(t, http.MethodPost, p.public+path, header, body)
	}
	attachments := strings.TrimSuffix(strings.Repeat(`{"url":"https://files.example/a.png"},`, 6000), ",")
	event := func(id, parts string) string {
		return `{"id":"` + id + `","type":"message","thread":"a","consumer":{"id":"consumer-of-a"},"message":{` + parts + `}}`
	}
	small := strings.TrimSuffix(strings.Repeat(`{"url":"https://f.example/a"},`, 300), ",")
	var many []string
	for n := range 90 {
		many = append(many, event(fmt.Sprint("m", n), `"attachments":[`+small+`]`))
	}
	for name, body := range map[string]string{
		"6000 attachments":              event("a1", `"attachments":[`+attachments+`]`),
		"90 events of 300 attachments":  `[` + strings.Join(many, ",") + `]`,
		"a text of 900 kB without room": event("a2", `"text":"`+strings.Repeat("x", 900_000)+`"`),
		"a text of 300 000 letters":     event("a3", `"text":"`+strings.Repeat("\\u0301", 100_000)+`"`),
	} {
		if a := post("/channels/webhook", signed(t, body), body); a.status/100 == 5 && a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: answered %d: %.200s", name, a.status, a.body)
		}
	}
	chatwoot := `{"event":"message_created","id":1,"message_type":"incoming","content":"x","private":false,"account":{"id":1},"inbox":{"id":3},"created_at":"2026-06-17T12:00:00.123Z",
		"conversation":{"id":42,"inbox_id":3,"status":"open","contact_inbox":{"id":31,"contact_id":10,"source_id":"s-1"},"meta":{"sender":{"id":10,"name":"Ana","type":"contact"}}},
		"attachments":[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"file_type":"image","data_url":"https://files.example/a.png"},`, 6000), ",") + `]}`
	now := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(settings["CHATWOOT_SECRETS"]))
	fmt.Fprintf(mac, "%s.%s", now, chatwoot)
	header := plainJSON.Clone()
	header.Set("X-Chatwoot-Timestamp", now)
	header.Set("X-Chatwoot-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	if a := post("/channels/chatwoot", header, chatwoot); a.status == http.StatusUnauthorized || a.status == http.StatusInternalServerError {
		t.Errorf("Chatwoot's 6000 attachments: answered %d: %.200s", a.status, a.body)
	}
	await(t, "that a small message is taken", func() bool {
		body := message("b", "b1", "hello")
		return post("/channels/webhook", signed(t, body), body).status == http.StatusOK
	})
	p.keepsWithin()
	p.kill()
}

// TestAttacksWithManyContacts fills caches and history with anonymous contacts, and has
// what they wrote read at once.
func TestAttacksWithManyContacts(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, map[string]string{"CHATWOOTAPI_CONTACT_REQUESTS": "100000", "LAYER_USER_REQUESTS": "100000"})
	attributes := strings.Repeat("x", 60_000)
	for n := range 100 {
		body := fmt.Sprintf(`{"source_id":"many-%d","custom_attributes":{"a":%q}}`, n, attributes)
		if a := do(t, http.MethodPost, x.p.public+publicAPI, plainJSON, body); a.status != http.StatusOK {
			t.Fatalf("contact %d: %d: %.200s", n, a.status, a.body)
		}
		get(t, x.p.public+publicAPI+fmt.Sprint("/many-", n))
	}
	writer := x.chatwootContact("writer")
	user := x.layerUser("writer")
	for n := range 100 {
		for channel, talker := range map[string]*talker{"chatwootapi": writer, "layer": user} {
			// What one consumer may have pending is bounded, too.
			await(t, "that "+channel+" takes more", func() bool {
				a := talker.says(fmt.Sprint(n, strings.Repeat(" y", 30_000)))
				return a.status != http.StatusTooManyRequests
			})
		}
	}
	var reading sync.WaitGroup
	var most atomic.Int64
	for range 4 {
		for _, talker := range []*talker{writer, user} {
			reading.Go(func() {
				h := http.Header{}
				for i := 0; i+1 < len(talker.header); i += 2 {
					h.Set(talker.header[i], talker.header[i+1])
				}
				a, err := try(http.MethodGet, x.p.public+talker.messages, h, "")
				if err != nil || a.status/100 != 2 && a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
					t.Errorf("read %d: %v", a.status, err)
				}
				if n := int64(len(a.body)); n > most.Load() {
					most.Store(n)
				}
			})
		}
	}
	reading.Wait()
	if n := most.Load(); n == 0 || n > 12<<20 {
		t.Errorf("one answer has %d bytes", n)
	}
	x.conversationFrom("quiet")
	x.p.keepsWithin()
	x.p.kill()
}

// TestAttacksWithUnfinishedUploads has strangers begin uploads to what does not exist, and
// to what does, and stop.
func TestAttacksWithUnfinishedUploads(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, nil)
	contact, user := x.chatwootContact("noisy"), x.layerUser("noisy")
	for _, at := range []string{
		"POST /public/api/v1/inboxes/nobody/contacts/x/conversations/1/messages",
		"POST " + publicAPI + "/nobody/conversations/1/messages",
		"PUT /layer/uploads/nobody",
		"POST " + contact.messages,
		"POST /layer/content",
	} {
		for range 60 {
			headers := append([]string{"Content-Type", "multipart/form-data; boundary=b", "Content-Length", "40000000"}, user.header...)
			conn := x.opens(at, headers...)
			go func() {
				_, _ = fmt.Fprint(conn, "--b\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\"x\"\r\n\r\n"+strings.Repeat("x", 2<<20))
			}()
		}
	}
	x.conversationFrom("quiet")
	x.p.keepsWithin()
	x.p.kill()
}

// TestJournalDeletedOrReplacedUnderTheBridge: what is written there would be gone, so it is
// not ready and takes nothing until the file is back.
func TestJournalDeletedOrReplacedUnderTheBridge(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a0", "before"))
	for n, tc := range []struct {
		suffix   string
		replaced bool
	}{{"", false}, {"", true}, {"-wal", false}, {"-wal", true}} {
		file, aside := s.journalFile()+tc.suffix, s.journalFile()+".aside"
		if err := os.Rename(file, aside); err != nil {
			t.Fatal(err)
		}
		if tc.replaced {
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		await(t, "that it is not ready", func() bool {
			a := get(t, p.admin+"/readyz")
			return a.status == http.StatusServiceUnavailable && strings.Contains(a.body, "deleted or replaced")
		})
		body := message("a", fmt.Sprint("a", n+1), "meanwhile")
		await(t, "that nothing is taken", func() bool {
			return do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body).status == http.StatusServiceUnavailable
		})
		if err := os.Rename(aside, file); err != nil {
			t.Fatal(err)
		}
		await(t, "that it is taken again", func() bool {
			return do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body).status == http.StatusOK
		})
		await(t, "that it is ready", func() bool { return get(t, p.admin+"/readyz").status == http.StatusOK })
	}
	s.awaitTexts("a", "before", "meanwhile", "meanwhile", "meanwhile", "meanwhile")
	p.terminate()
}

// TestAttacksFromOtherSites has pages of elsewhere start what only an operator may.
func TestAttacksFromOtherSites(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_ADMIN_PROFILES": "true"})
	host := strings.TrimPrefix(p.admin, "http://")
	for name, header := range map[string]http.Header{
		"another site":         {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"a sibling":            {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://sibling." + host}},
		"an old browser":       {"Origin": {"https://evil.example"}},
		"a sandboxed frame":    {"Origin": {"null"}},
		"another port of ours": {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://127.0.0.1:1"}},
	} {
		for _, request := range []string{
			"GET /debug/pprof/profile?seconds=20", "GET /debug/pprof/trace?seconds=20", "GET /debug/pprof/heap",
			"POST /farsides/liveperson/resume", "POST /deadletters/discard?all=true", "POST /deadletters/replay?all=true", "POST /consumers/erase",
		} {
			method, path, _ := strings.Cut(request, " ")
			if method == http.MethodGet && header.Get("Sec-Fetch-Site") == "" {
				// Browsers of before 2023 send nothing by which a reading request could be told.
				continue
			}
			h := header.Clone()
			h.Set("Content-Type", "text/plain")
			if a := do(t, method, p.admin+path, h, ""); a.status != http.StatusForbidden {
				t.Errorf("%s: %s was answered %d: %.100s", name, request, a.status, a.body)
			}
		}
	}
	p.terminate()
}

// TestAttacksOnTheMetadataOfClouds has a consumer name such addresses as files where private
// networks are allowed, in all ways to write them.
func TestAttacksOnTheMetadataOfClouds(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS": "true"})
	m := watched(t, p)
	var asked atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(private.Close)
	addresses := []string{
		"http://169.254.169.254/latest/a.png", "http://[::ffff:169.254.169.254]/a.png", "http://[::ffff:a9fe:a9fe]/a.png", "http://[64:ff9b::a9fe:a9fe]/a.png",
		"http://[64:ff9b:1::a9fe:a9fe]/a.png", "http://[2002:a9fe:a9fe::1]/a.png", "http://[fe80::a9fe:a9fe]/a.png",
		"http://[fd00:ec2::254]/a.png", "http://[fd20:ce::254]/a.png", "http://100.100.100.200/a.png", "http://192.0.0.192/a.png", "http://168.63.129.16/a.png",
		private.URL + "/?to=http://169.254.169.254/a.png", private.URL + "/?to=http://[fd00:ec2::254]/a.png",
	}
	for i, address := range addresses {
		s.post(p, fmt.Sprintf(`{"id":"f%d","type":"message","thread":"a","consumer":{"id":"consumer-of-a"},"message":{"attachments":[{"url":%q}]}}`, i, address))
	}
	await(t, "links", func() bool { return len(s.texts("a")) == len(addresses) })
	if refused := m.value("lpbridge_attachments_total", "channel", "webhook", "result", "address"); refused != float64(len(addresses)) {
		t.Errorf("%v of %d were refused for their address", refused, len(addresses))
	}
	if asked.Load() != 2 {
		t.Errorf("the private network was asked %d times", asked.Load())
	}
	p.terminate()
}

// TestAttacksWithOddAddresses has a consumer spell this machine's address as no address is
// spelled, where private networks are not allowed.
func TestAttacksWithOddAddresses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	var asked atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(private.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(private.URL, "http://"), ":")
	hosts := []string{"2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0x7f.1", "0", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.1"}
	for i, host := range hosts {
		s.post(p, fmt.Sprintf(`{"id":"n%d","type":"message","thread":"n%d","consumer":{"id":"consumer-of-n%d"},"message":{"attachments":[{"url":"http://%s:%s/a.png"}]}}`, i, i, i, host, port))
	}
	for i, host := range hosts {
		await(t, "the link to "+host, func() bool { return len(s.texts(fmt.Sprint("n", i))) == 1 })
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("this machine was asked %d times", n)
	}
	p.terminate()
}
