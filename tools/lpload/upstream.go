package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxMessages is the most messages between two resets of the upstream.
	maxMessages = 4_000_000
	// maxThreads is the most threads an event can name.
	maxThreads = 1_000_000
	sendPath   = "/api/account/load/messaging/consumer/conversation/send"
	// mark comes before a message's number in its text, threadMark before a
	// thread's. Every system passes both on, in whatever JSON it makes.
	mark       = "m#"
	markDigits = 9
	threadMark = "conv-"
	threadLen  = len(threadMark) + 6
)

// upstream stands for LivePerson and answers at once. It keeps when each
// message arrived and nothing else.
type upstream struct {
	host    string
	latency atomic.Int64
	// trouble is how many in a million are refused with 429, and as many with 500.
	trouble  atomic.Int64
	sequence atomic.Int64
	count    atomic.Int64
	first    atomic.Int64
	last     atomic.Int64
	arrived  []atomic.Int64

	mu      sync.Mutex
	typing  []typingArrival
	stalled chan struct{}
}

// typingArrival is when a state arrived in a thread, in ns since 1970.
type typingArrival struct {
	Thread int   `json:"t"`
	At     int64 `json:"a"`
	// Composing tells the beginning from the end.
	Composing bool `json:"c"`
}

func newUpstream(host string) *upstream {
	return &upstream{host: host, arrived: make([]atomic.Int64, maxMessages)}
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == sendPath:
		u.send(w, r)
	case strings.HasSuffix(r.URL.Path, "/baseURI.json"):
		u.baseURI(w, r)
	case strings.HasPrefix(r.URL.Path, "/sentinel/"):
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer"}`, token(map[string]any{"exp": time.Now().Add(time.Hour).Unix()}))
	case strings.HasSuffix(r.URL.Path, "/consumer"):
		u.consumer(w, r)
	case strings.HasSuffix(r.URL.Path, "/consumer/conversation"):
		u.conversation(w, r)
	case r.URL.Path == "/sink":
		_, _ = io.Copy(io.Discard, r.Body)
	case strings.HasPrefix(r.URL.Path, "/load/"):
		u.control(w, r)
	default:
		http.NotFound(w, r)
	}
}

// send notes a message or typing.
func (u *upstream) send(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	now := time.Now().UnixNano()
	u.mu.Lock()
	stalled := u.stalled
	u.mu.Unlock()
	if stalled != nil {
		select {
		case <-stalled:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	if u.refuses(w) {
		return
	}
	if n, ok := messageNumber(body); ok {
		if u.arrived[n].CompareAndSwap(0, now) {
			u.first.CompareAndSwap(0, now)
			u.last.Store(now)
			u.count.Add(1)
		}
	} else if t, ok := threadNumber(body); ok && isState(body) {
		u.mu.Lock()
		u.typing = append(u.typing, typingArrival{t, now, isComposing(body)})
		u.mu.Unlock()
	}
	if d := time.Duration(u.latency.Load()); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	answer := append(make([]byte, 0, 64), `{"reqId":"1","code":"OK","body":{"sequence":`...)
	answer = strconv.AppendInt(answer, u.sequence.Add(1), 10)
	answer = append(answer, "}}"...)
	w.Header()["Content-Type"] = []string{"application/json"}
	_, _ = w.Write(answer)
}

// refuses answers some calls as LivePerson does in trouble; nothing of them counts.
func (u *upstream) refuses(w http.ResponseWriter) bool {
	share := u.trouble.Load()
	if share == 0 {
		return false
	}
	status := http.StatusTooManyRequests
	switch drawn := rand.Int64N(1_000_000); {
	case drawn >= 2*share:
		return false
	case drawn >= share:
		status = http.StatusInternalServerError
	}
	w.Header()["Content-Type"] = []string{"application/json"}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"code":"`+strconv.Itoa(status)+`"}`)
	return true
}

// messageNumber finds a message's number in whatever holds its text.
func messageNumber(body []byte) (int, bool) {
	i := bytes.Index(body, []byte(mark))
	if i < 0 || len(body) < i+len(mark)+markDigits {
		return 0, false
	}
	n, err := strconv.Atoi(string(body[i+len(mark) : i+len(mark)+markDigits]))
	return n, err == nil && n >= 0 && n < maxMessages
}

func threadName(t int) string { return fmt.Sprintf("%s%06d", threadMark, t) }

func threadNumber(body []byte) (int, bool) {
	i := bytes.Index(body, []byte(threadMark))
	if i < 0 || len(body) < i+threadLen {
		return 0, false
	}
	n, err := strconv.Atoi(string(body[i+len(threadMark) : i+threadLen]))
	return n, err == nil
}

// isState recognises typing in every system's words.
func isState(body []byte) bool {
	return bytes.Contains(body, []byte(`"typing"`)) || bytes.Contains(body, []byte(`"ChatStateEvent"`))
}

func isComposing(body []byte) bool {
	return bytes.Contains(body, []byte(`"composing"`)) || bytes.Contains(body, []byte(`"COMPOSING"`))
}

// baseURI says that every service is here.
func (u *upstream) baseURI(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	service := parts[len(parts)-2]
	if service != "service" {
		fmt.Fprintf(w, `{"service":%q,"account":"load","baseURI":%q}`, service, u.host)
		return
	}
	var all []string
	for _, s := range []string{"asyncMessagingEnt", "sentinel", "idp", "smt", "swift"} {
		all = append(all, fmt.Sprintf(`{"service":%q,"account":"load","baseURI":%q}`, s, u.host))
	}
	fmt.Fprintf(w, `{"baseURIs":[%s]}`, strings.Join(all, ","))
}

// token is a JWT of the shape LivePerson uses; nobody here checks signatures.
func token(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		return ""
	}
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString(body) + ".c2ln"
}

// consumer makes the consumer's identity their LivePerson id.
func (u *upstream) consumer(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ID string `json:"ext_consumer_id"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"token":%q}`, token(map[string]any{"lp_consumer_id": in.ID}))
}

// conversation gives every consumer the conversation named after their thread, which
// is also the name in their profile.
func (u *upstream) conversation(w http.ResponseWriter, r *http.Request) {
	var in []struct {
		ID json.RawMessage `json:"id"`
	}
	body, err := io.ReadAll(r.Body)
	t, named := threadNumber(body)
	if err != nil || json.Unmarshal(body, &in) != nil || len(in) != 2 || !named {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, `[{"reqId":%s,"code":"OK","body":{"msg":"OK"}},{"reqId":%s,"code":"OK","body":{"conversationId":%q}}]`,
		in[0].ID, in[1].ID, threadName(t))
}

// progress is how far the upstream got; times are in ns since 1970.
type progress struct {
	Count int64 `json:"count"`
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// control is for the load: what arrived, and how to behave.
func (u *upstream) control(w http.ResponseWriter, r *http.Request) {
	switch strings.TrimPrefix(r.URL.Path, "/load/") {
	case "count":
		_ = json.NewEncoder(w).Encode(progress{u.count.Load(), u.first.Load(), u.last.Load()})
	case "reset":
		u.reset()
	case "latency":
		d, err := time.ParseDuration(r.URL.Query().Get("d"))
		if err != nil {
			http.Error(w, "d: want a duration", http.StatusBadRequest)
			return
		}
		u.latency.Store(int64(d))
	case "trouble":
		share, err := strconv.ParseFloat(r.URL.Query().Get("share"), 64)
		if err != nil || share < 0 || share > 0.5 {
			http.Error(w, "share: want 0 to 0.5", http.StatusBadRequest)
			return
		}
		u.trouble.Store(int64(share * 1_000_000))
	case "stall":
		u.mu.Lock()
		u.stalled = make(chan struct{})
		u.mu.Unlock()
	case "release":
		u.mu.Lock()
		if u.stalled != nil {
			close(u.stalled)
			u.stalled = nil
		}
		u.mu.Unlock()
	case "arrivals":
		u.writeArrivals(w, r)
	case "typing":
		u.mu.Lock()
		defer u.mu.Unlock()
		_ = json.NewEncoder(w).Encode(u.typing)
	default:
		http.NotFound(w, r)
	}
}

func (u *upstream) reset() {
	for i := range u.arrived {
		if u.arrived[i].Load() != 0 {
			u.arrived[i].Store(0)
		}
	}
	u.count.Store(0)
	u.first.Store(0)
	u.last.Store(0)
	u.mu.Lock()
	u.typing = nil
	u.mu.Unlock()
}

func (u *upstream) writeArrivals(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 0 || n > len(u.arrived) {
		http.Error(w, "n: want a number", http.StatusBadRequest)
		return
	}
	out := make([]byte, 0, 8*n)
	for i := range n {
		out = binary.LittleEndian.AppendUint64(out, uint64(u.arrived[i].Load()))
	}
	_, _ = w.Write(out)
}
