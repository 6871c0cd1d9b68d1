package layer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

const (
	testApp    = "layer:///apps/staging/00000000-0000-4000-8000-000000000001"
	testOrigin = "https://consumer.example"
	testBase   = "https://chat.example/layer"

	testProvider = "11111111-1111-4111-8111-111111111111"
	testKeyID    = "22222222-2222-4222-8222-222222222222"
)

// Ids that clients choose.
const (
	conversation1 = "layer:///conversations/aaaaaaaa-0000-4000-8000-000000000001"
	conversation2 = "layer:///conversations/aaaaaaaa-0000-4000-8000-000000000002"
	message1      = "layer:///messages/bbbbbbbb-0000-4000-8000-000000000001"
	message2      = "layer:///messages/bbbbbbbb-0000-4000-8000-000000000002"
	part1         = message1 + "/parts/cccccccc-0000-4000-8000-000000000001"
	thread1       = "aaaaaaaa-0000-4000-8000-000000000001"
)

// providerKey signs the identity tokens of all tests; making one takes long.
var providerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		panic(err)
	}
	return key
})

func inlineProvider(provider, id string, key *rsa.PrivateKey) string {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return provider + "/" + id + "=" + inlineKey + base64.StdEncoding.EncodeToString(der)
}

func testConfig(change ...func(*Config)) Config {
	cfg := Config{
		AppIDs: []string{testApp}, ProviderKeys: []string{inlineProvider(testProvider, testKeyID, providerKey())},
		Origins: []string{testOrigin}, PublicURL: &url.URL{Scheme: "https", Host: "chat.example"}, SessionTTL: time.Hour,
		AgentID: "agent", AgentName: "Peer", StateKey: "state", MaxContent: 64 << 10,
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// world is the channel with everything around it in memory: clients reach it
// over pipes, so that all of it runs in fake time too.
type world struct {
	t      testing.TB
	core   *bridgetest.Core
	layer  *Layer
	client *http.Client
	log    *bytes.Buffer
	apps   []*app
	stop   func()
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return startWorld(t, bridgetest.NewCore(), testConfig(change...))
}

// startWorld serves the channel on what a core holds. It ends with the test,
// or before with stop.
func startWorld(t testing.TB, core *bridgetest.Core, cfg Config) *world {
	t.Helper()
	w := &world{t: t, core: core, log: &bytes.Buffer{}}
	var err error
	if w.layer, err = New(cfg, core, slog.New(slog.NewTextHandler(w.log, nil))); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range w.layer.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	pipes := newPipes()
	server := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(pipes) })
	// Connections are kept, as clients do. Where one is closed with its answer, what
	// of a refused upload nobody read breaks a pipe, which has no buffer.
	transport := &http.Transport{DialContext: pipes.dial}
	w.client = &http.Client{Transport: transport}
	w.stop = sync.OnceFunc(func() {
		ctx := context.WithoutCancel(t.Context())
		for _, a := range w.apps {
			_ = a.ws.CloseNow()
		}
		if err := w.layer.Close(ctx); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	t.Cleanup(w.stop)
	return w
}

// pipes is a network of its own.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// reply is an answer over REST.
type reply struct {
	status int
	header http.Header
	body   any
}

// has returns the value at a way of keys and indexes into the answer.
func (r reply) has(way ...any) any { return at(r.body, way...) }

func at(v any, way ...any) any {
	for _, step := range way {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step < 0 || step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// send makes a request as the SDK does: header values come in pairs and an
// empty one removes the header.
func (w *world) send(token, method, path, body string, header ...string) reply {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, "http://pipe/layer"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/vnd.layer+json; version=3.0")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", testOrigin)
	if token != "" {
		r.Header.Set("Authorization", `Layer session-token="`+token+`"`)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	resp, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := reply{status: resp.StatusCode, header: resp.Header}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			w.t.Fatalf("%s %s: %v", method, path, err)
		}
	} else if len(raw) > 0 {
		a.body = string(raw)
	}
	return a
}

// must is send that checks the status.
func (w *world) must(status int, token, method, path, body string, header ...string) reply {
	w.t.Helper()
	a := w.send(token, method, path, body, header...)
	if a.status != status {
		w.t.Fatalf("%s %s: status %d, want %d: %v", method, path, a.status, status, a.body)
	}
	return a
}

func (w *world) nonce() string {
	w.t.Helper()
	nonce, _ := w.must(201, "", "POST", "/nonces", "").has("nonce").(string)
	return nonce
}

// claimsOf are the claims of an identity token for a user.
func claimsOf(user, nonce string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": prefixProvider + testProvider, "prn": user, "nce": nonce,
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"display_name": "Ana Suite", "first_name": "Ana", "last_name": "Suite", "email_address": "ana@suite.example",
	}
}

func sign(t testing.TB, claims jwt.Claims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["cty"], token.Header["kid"] = "layer-eit;v=1", prefixKey+testKeyID
	signed, err := token.SignedString(providerKey())
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func sessionRequest(token string) string { return sessionRequestFor(testApp, token) }

func sessionRequestFor(app, token string) string {
	body, _ := json.Marshal(map[string]string{"identity_token": token, "app_id": app})
	return string(body)
}

// login returns a session token.
func (w *world) login(user string) string {
	w.t.Helper()
	body := sessionRequest(sign(w.t, claimsOf(user, w.nonce())))
	token, _ := w.must(201, "", "POST", "/sessions", body).has("session_token").(string)
	return token
}

// converse creates the first conversation.
func (w *world) converse(token string) {
	w.t.Helper()
	w.must(201, token, "POST", "/conversations", newConversation(conversation1, false))
}

func newConversation(id string, distinct bool) string {
	body, _ := json.Marshal(map[string]any{
		"id": id, "participants": []string{"layer:///identities/agent"}, "distinct": distinct, "metadata": map[string]any{"title": "example"},
	})
	return string(body)
}

func newMessage(id, text string) string {
	body, _ := json.Marshal(map[string]any{
		"id": id, "parts": []any{map[string]string{"mime_type": "text/plain", "body": text}},
	})
	return string(body)
}

// deliver hands an event to the channel as the core would.
func (w *world) deliver(e bridge.Event) {
	w.t.Helper()
	if err := w.layer.Deliver(w.t.Context(), &e); err != nil {
		w.t.Fatalf("deliver %s: %v", e.Kind, err)
	}
}

func agentSays(id, text string) bridge.Event {
	e := bridgetest.AgentEvent(bridge.KindMessage)
	e.ID, e.Thread, e.Message = bridge.EventID(id), thread1, &bridge.Message{Text: text}
	return e
}

func (w *world) show(agent string, state bridge.TypingState) {
	w.t.Helper()
	cue := bridge.TypingCue{Thread: thread1, Agent: bridge.Agent{ID: agent}, State: state}
	if err := w.layer.ShowTyping(w.t.Context(), cue); err != nil {
		w.t.Fatal(err)
	}
}

// kinds are the kinds of what LivePerson was told.
func (w *world) kinds() []bridge.Kind {
	var kinds []bridge.Kind
	for _, e := range w.core.Events() {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (w *world) last() bridge.Event {
	w.t.Helper()
	events := w.core.Events()
	if len(events) == 0 {
		w.t.Fatal("no event was accepted")
	}
	return events[len(events)-1]
}

// known is how many users something is going on of.
func (w *world) known() int {
	return w.layer.users.known.Len()
}

// app is a client's connection.
type app struct {
	t     testing.TB
	ws    *websocket.Conn
	next  int64
	stamp string
}

// connect opens a socket.
func (w *world) connect(token, protocol string) *app {
	w.t.Helper()
	a, err := w.dial(token, protocol)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) dial(token, protocol string) (*app, error) {
	options := &websocket.DialOptions{HTTPClient: w.client, HTTPHeader: http.Header{"Origin": {testOrigin}}}
	if protocol != "" {
		options.Subprotocols = []string{protocol}
	}
	address := "ws://pipe/layer/?session_token=" + url.QueryEscape(token) + "&client-id=V&layer-xdk-version=4.0.6"
	ws, _, err := websocket.Dial(w.t.Context(), address, options)
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(1 << 20)
	a := &app{t: w.t, ws: ws}
	w.apps = append(w.apps, a)
	return a, nil
}

func (a *app) write(frame string) {
	a.t.Helper()
	if err := a.ws.Write(a.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		a.t.Fatal(err)
	}
}

// request sends a request and returns nothing: the response is a packet.
func (a *app) request(id, method, object, data string) {
	a.t.Helper()
	body := map[string]any{"request_id": id, "method": method}
	if object != "" {
		body["object_id"] = object
	}
	if data != "" {
		body["data"] = json.RawMessage(data)
	}
	frame, err := json.Marshal(map[string]any{"type": "request", "body": body})
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(string(frame))
}

func (a *app) signal(conversation, action string) {
	a.t.Helper()
	a.write(`{"type":"signal","body":{"type":"typing_indicator","object":{"id":"` + conversation + `"},"data":{"action":"` + action + `"}}}`)
}

// read returns the next packet, after checking that it follows the one before.
func (a *app) read() map[string]any {
	a.t.Helper()
	_, raw, err := a.ws.Read(a.t.Context())
	if err != nil {
		a.t.Fatalf("read: %v", err)
	}
	var p map[string]any
	if err := json.Unmarshal(raw, &p); err != nil {
		a.t.Fatal(err)
	}
	if counter, _ := p["counter"].(float64); int64(counter) != a.next {
		a.t.Fatalf("counter %v, want %d", p["counter"], a.next)
	}
	a.next++
	stamp, _ := p["timestamp"].(string)
	if _, err := time.Parse(timeFormat, stamp); err != nil || stamp < a.stamp {
		a.t.Fatalf("timestamp %q after %q", stamp, a.stamp)
	}
	a.stamp = stamp
	return p
}

// expect reads packets and checks what they are, in short words.
func (a *app) expect(want ...string) []map[string]any {
	a.t.Helper()
	var got []string
	var packets []map[string]any
	for range want {
		p := a.read()
		packets = append(packets, p)
		got = append(got, shortly(p))
	}
	if !slices.Equal(got, want) {
		a.t.Fatalf("packets %q, want %q", got, want)
	}
	return packets
}

// shortly is a packet in a few words.
func shortly(p map[string]any) string {
	text := func(way ...any) string {
		s, _ := at(p, way...).(string)
		return s
	}
	switch p["type"] {
	case packetResponse:
		if at(p, "body", "success") == true {
			return text("body", "request_id") + " ok"
		}
		return text("body", "request_id") + " " + text("body", "data", "id")
	case packetChange:
		return text("body", "operation") + " " + text("body", "object", "type")
	}
	return text("body", "data", "action") + " " + strings.TrimPrefix(text("body", "data", "sender", "id"), prefixIdentity)
}

// sync waits until the server handled all that was sent before.
func (a *app) sync() {
	a.t.Helper()
	a.request("sync", "Counter.read", "", "")
	for shortly(a.read()) != "sync ok" {
	}
}

// ended waits for the end of the connection and returns its code.
func (a *app) ended() websocket.StatusCode {
	for {
		if _, _, err := a.ws.Read(a.t.Context()); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}
