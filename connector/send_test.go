package connector

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/internal/attempt"
	"lpbridge/lpauth"
)

const okSequence = `{"reqId":"$ID","code":"OK","body":{"sequence":3}}`

func TestSendOnTheWire(t *testing.T) {
	for _, c := range []struct {
		name  string
		to    Target
		event Event
		want  string
	}{
		{
			"text, not escaped for html", mainDialog, ContentEvent{Message: "a < b & \"c\"\n😉"},
			`{"conversationId":"` + testConversation + `","dialogId":"` + testConversation + `","event":{"type":"ContentEvent","contentType":"text/plain","message":"a < b & \"c\"\n😉"}}`,
		},
		{
			"survey answer with metadata", Target{"C", "PwT_YK91Sum3vu5H6T3YnA"}, ContentEvent{Message: "yep", Metadata: json.RawMessage(`[{"type":"ExternalId","id":"Yes-1234"}]`)},
			`{"conversationId":"C","dialogId":"PwT_YK91Sum3vu5H6T3YnA","event":{"type":"ContentEvent","contentType":"text/plain","message":"yep"}}`,
		},
		{
			"only the dialog known", Target{DialogID: "D"}, ContentEvent{Message: "x"},
			`{"dialogId":"D","event":{"type":"ContentEvent","contentType":"text/plain","message":"x"}}`,
		},
		{
			"file", Target{"C", "C"}, ContentEvent{File: &HostedFile{Caption: "logo", RelativePath: "/v1/AUTH_async-images/x.PNG", FileType: "PNG", Preview: "data:image/png;base64,iVBOR"}},
			`{"conversationId":"C","dialogId":"C","event":{"type":"ContentEvent","contentType":"hosted/file","message":{"caption":"logo","relativePath":"/v1/AUTH_async-images/x.PNG","fileType":"PNG","preview":"data:image/png;base64,iVBOR"}}}`,
		},
		{
			"typing", Target{"C", "C"}, ChatStateEvent{ChatState: ChatComposing},
			`{"conversationId":"C","dialogId":"C","event":{"type":"ChatStateEvent","chatState":"COMPOSING"}}`,
		},
		{
			"read", Target{"C", "C"}, AcceptStatusEvent{Status: Read, SequenceList: []Sequence{2, 3}},
			`{"conversationId":"C","dialogId":"C","event":{"type":"AcceptStatusEvent","status":"READ","sequenceList":[2,3]}}`,
		},
		{
			"click", Target{"C", "C"}, AcceptStatusEvent{Status: Action, SequenceList: []Sequence{1}, Metadata: json.RawMessage(`[{"type":"ExternalId","id":"Yes-1234"}]`)},
			`{"conversationId":"C","dialogId":"C","event":{"type":"AcceptStatusEvent","status":"ACTION","sequenceList":[1]}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, reply(200, okSequence))
			client, _ := testClient(t, lp.transport)
			sequence, err := client.Send(t.Context(), ana, c.to, c.event)
			if sequence != 3 || err != nil {
				t.Fatalf("got %d, %v", sequence, err)
			}
			got := lp.received()
			if len(got) != 1 || got[0].query != "v=3" {
				t.Fatalf("%d requests, query %q", len(got), got[0].query)
			}
			for name, want := range map[string]string{
				"Authorization": "app-1", "X-LP-ON-BEHALF": "jws-1", "Content-Type": "application/json",
				"Client-Properties": `{"type":".ClientProperties","features":["RICH_CONTENT","QUICK_REPLIES"]}`,
			} {
				if have := got[0].header.Get(name); have != want {
					t.Errorf("%s: %q, want %q", name, have, want)
				}
			}
			var envelope struct {
				Kind, ID, Type string
				Body           json.RawMessage
				Metadata       json.RawMessage
			}
			if err := json.Unmarshal([]byte(got[0].body), &envelope); err != nil {
				t.Fatal(err)
			}
			if envelope.Kind != "req" || envelope.Type != "ms.PublishEvent" || envelope.ID == "" || len(envelope.ID) > 64 {
				t.Errorf("envelope %+v", envelope)
			}
			if diff := cmp.Diff(c.want, string(envelope.Body)); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if _, metadata, _ := c.event.wire(); string(metadata) != string(envelope.Metadata) {
				t.Errorf("metadata %s, want %s", envelope.Metadata, metadata)
			}
		})
	}
}

func TestRequestIDsAreUnique(t *testing.T) {
	client, _ := testClient(t, newLivePerson(t).transport)
	seen := make(map[string]bool)
	for range 1000 {
		id := client.requestID()
		if seen[id] || len(id) > 64 {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

func TestSendRefusesWithoutAsking(t *testing.T) {
	lp := newLivePerson(t)
	client, _ := testClient(t, lp.transport)
	for _, c := range []struct {
		name  string
		to    Target
		event Event
		wrong string
	}{
		{"no target", Target{}, ContentEvent{Message: "x"}, "dialogId"},
		{"no event", mainDialog, nil, "event"},
		{"empty text", mainDialog, ContentEvent{}, "message"},
		{"file without path", mainDialog, ContentEvent{File: &HostedFile{FileType: "PNG"}}, "relativePath"},
		{"file without type", mainDialog, ContentEvent{File: &HostedFile{RelativePath: "/x"}}, "fileType"},
		{"chat state of our own", mainDialog, ChatStateEvent{ChatState: "SLEEPING"}, "chatState"},
		{"status of our own", mainDialog, AcceptStatusEvent{Status: "SEEN", SequenceList: []Sequence{1}}, "status"},
		{"no sequences", mainDialog, AcceptStatusEvent{Status: Read}, "sequenceList"},
		{"broken metadata", mainDialog, ContentEvent{Message: "x", Metadata: json.RawMessage("[{")}, "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := client.Send(t.Context(), ana, c.to, c.event)
			if OutcomeOf(err) != Invalid || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("got %v, want invalid for %s", err, c.wrong)
			}
		})
	}
	if n := len(lp.received()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestSendOutcomes(t *testing.T) {
	const auth = `{"kind":"resp","code":401,"body":{"title":"Invalid","details":"secret detail","errorCode":$CODE},"type":".ReqBody$ErrorResp"}`
	authBody := func(code string) string { return strings.Replace(auth, "$CODE", code, 1) }
	for _, c := range []struct {
		name       string
		status     int
		retryAfter string
		body       string
		want       Outcome
		scope      Scope
		certainty  Certainty
		is         error
		after      time.Duration
		attempts   int
		text       string
	}{
		{name: "throttled", status: 429, want: Throttled, scope: ScopeAccount, certainty: NotApplied, is: ErrThrottled, after: time.Second},
		{name: "throttled with Retry-After", status: 429, retryAfter: "17", want: Throttled, scope: ScopeAccount, certainty: NotApplied, is: ErrThrottled, after: 17 * time.Second},
		{name: "throttled with a silly Retry-After", status: 429, retryAfter: "9999999999999", want: Throttled, scope: ScopeAccount, certainty: NotApplied, is: ErrThrottled, after: attempt.MaxRetryAfter},
		{name: "throttled with a short Retry-After", status: 429, retryAfter: "0", want: Throttled, scope: ScopeAccount, certainty: NotApplied, is: ErrThrottled, after: time.Second},
		{name: "closed", status: 400, body: `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"},"reqId":"$ID"}`, want: Closed, scope: ScopeConversation, certainty: Refused, is: ErrClosed, text: "ms.PublishEvent: status 400 BAD_REQUEST: conversation is closed"},
		{name: "closed on 200", status: 200, body: `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"},"reqId":"$ID"}`, want: Closed, scope: ScopeConversation, certainty: Refused, is: ErrClosed},
		{name: "closed in capitals, body a string", status: 400, body: `{"code":"BAD_REQUEST","body":"CONVERSATION IS CLOSED"}`, want: Closed, scope: ScopeConversation, certainty: Refused, is: ErrClosed},
		{name: "unknown conversation", status: 400, body: `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"$ID"}`, want: Invalid, scope: ScopeConversation, certainty: Refused, text: "ms.PublishEvent: status 400 BAD_REQUEST: bad request"},
		{name: "not for the log", status: 400, body: `{"code":"BAD_REQUEST","body":{"msg":"Failed: User 77d338e4a1 said: my card is 4111 1111, ana@example.org"},"reqId":"$ID"}`, want: Invalid, scope: ScopeMessage, certainty: Refused, text: "ms.PublishEvent: status 400 BAD_REQUEST: failed user * is *"},
		{name: "refused on 200 with a strange code", status: 200, body: `{"code":"ana@example.org","body":{},"reqId":"$ID"}`, want: Invalid, scope: ScopeMessage, certainty: Refused, text: "ms.PublishEvent: status 200: invalid"},
		{name: "not found", status: 404, body: "<html>", want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "forbidden", status: 403, want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "unavailable", status: 503, retryAfter: "30", want: Unknown, scope: ScopeBetween, certainty: MaybeApplied, after: 30 * time.Second},
		{name: "internal", status: 500, body: `{"code":"INTERNAL_ERROR"}`, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "bad gateway", status: 502, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "gateway timeout", status: 504, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "redirect", status: 307, want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "expired app token, twice", status: 401, body: authBody("40102"), want: Unauthorized, scope: ScopeAccount, certainty: Refused, is: lpauth.ErrInvalidAppJWT, attempts: 2},
		{name: "another's conversation", status: 401, body: authBody("40103"), want: Unauthorized, scope: ScopeConversation, certainty: Refused, is: lpauth.ErrInvalidConsumerJWS, attempts: 2},
		{name: "consumer token missing", status: 401, body: authBody("40104"), want: Unauthorized, scope: ScopeConversation, certainty: Refused, is: lpauth.ErrMissingCredential, attempts: 2},
		{name: "app token missing", status: 401, body: authBody("40105"), want: Unauthorized, scope: ScopeAccount, certainty: Refused, is: lpauth.ErrMissingCredential, attempts: 2},
		{name: "401 without a word", status: 401, want: Unauthorized, scope: ScopeConversation, certainty: Refused, attempts: 2},
		{name: "brand missing", status: 400, body: strings.Replace(authBody("40001"), "401", "400", 1), want: Unauthorized, scope: ScopeAccount, certainty: Refused, is: lpauth.ErrMissingParameter},
		{name: "200 with html", status: 200, body: "<html>", want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "200 with nothing", status: 200, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "200 cut short", status: 200, body: `{"reqId":"1","code":"OK","bo`, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "200 without a code", status: 200, body: `{"reqId":"1"}`, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "200 endless", status: 200, body: strings.Repeat(" ", answerLimit+1), want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "404 in LivePerson's form", status: 404, body: `{"code":"NOT_FOUND","body":{"msg":"Not Found"},"reqId":"$ID"}`, want: Invalid, scope: ScopeConversation, certainty: Refused},
		{name: "403 in LivePerson's form", status: 403, body: `{"code":"FORBIDDEN","body":{"msg":"Forbidden"},"reqId":"$ID"}`, want: Unauthorized, scope: ScopeConversation, certainty: Refused},
		{name: "misdirected", status: 421, body: "<html>", want: Retry, scope: ScopeBetween, certainty: NotApplied},
		{name: "too early", status: 425, want: Retry, scope: ScopeBetween, certainty: NotApplied},
		{name: "proxy wants a login", status: 407, body: "<html>", want: Retry, scope: ScopeBetween, certainty: NotApplied},
		{name: "proxy's 401", status: 401, body: "<html>", want: Retry, scope: ScopeBetween, certainty: NotApplied},
		{name: "request timeout", status: 408, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "unavailable for legal reasons", status: 451, body: "<html>", want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "400 with a page", status: 400, body: "<html>Access Denied. Reference #18.2d</html>", want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "somebody else's json", status: 404, body: `{"message":"no Route matched"}`, want: Retry, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "429 with a page", status: 429, body: "<html>", want: Throttled, scope: ScopeBetween, certainty: NotApplied, after: time.Second},
		{name: "503 of a throttle", status: 503, body: `{"code":"SERVICE_UNAVAILABLE","body":{"msg":"Too many requests"}}`, want: Throttled, scope: ScopeAccount, certainty: NotApplied, after: time.Second},
		{name: "500 as a word on 200", status: 200, body: `{"code":"INTERNAL_SERVER_ERROR","body":{},"reqId":"$ID"}`, want: Unknown, scope: ScopeBetween, certainty: MaybeApplied},
		{name: "429 as a number on 200", status: 200, body: `{"code":429,"body":{},"reqId":"$ID"}`, want: Throttled, scope: ScopeAccount, certainty: NotApplied, after: time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, func(w http.ResponseWriter, r *http.Request) {
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				w.Header().Set("Location", "/elsewhere")
				reply(c.status, c.body)(w, r)
			})
			client, _ := testClient(t, lp.transport)
			sequence, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "my words"})
			if sequence != NoSequence {
				t.Errorf("got sequence %d", sequence)
			}
			failed := asError(t, err)
			if failed.Outcome != c.want || failed.Scope != c.scope || failed.Certainty != c.certainty || failed.RetryAfter != c.after || failed.StatusCode != c.status {
				t.Errorf("got %v, %v, %v, after %v, status %d, want %v, %v, %v, %v, %d (%v)", failed.Outcome, failed.Scope, failed.Certainty,
					failed.RetryAfter, failed.StatusCode, c.want, c.scope, c.certainty, c.after, c.status, err)
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v", err, c.is)
			}
			if n := len(lp.received()); n != max(c.attempts, 1) {
				t.Errorf("%d attempts, want %d", n, max(c.attempts, 1))
			}
			if c.text != "" && err.Error() != c.text {
				t.Errorf("text %q, want %q", err, c.text)
			}
			wantNoSecret(t, err, "my words", "secret detail", "app-1", "app-2", "jws-", "127.0.0.1", "v=3", "77d338", "4111", "example")
		})
	}
}

func wantNoSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in the error %q", secret, err)
		}
	}
}

func TestSendRefreshesWhatLivePersonComplainsAbout(t *testing.T) {
	for _, c := range []struct {
		name, code       string
		wantApp, wantJWS string
	}{
		{"app token", "40102", "app-2", "jws-1"},
		{"consumer token", "40103", "app-1", "jws-2"},
		{"missing one", "40105", "app-2", "jws-2"},
		{"no word", "null", "app-2", "jws-2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(sendPath, func(w http.ResponseWriter, r *http.Request) {
				if len(lp.received()) == 1 {
					reply(401, `{"kind":"resp","code":401,"body":{"errorCode":`+c.code+`}}`)(w, r)
					return
				}
				reply(200, okSequence)(w, r)
			})
			client, _ := testClient(t, lp.transport)
			if sequence, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "x"}); sequence != 3 || err != nil {
				t.Fatalf("got %d, %v", sequence, err)
			}
			got := lp.received()
			if len(got) != 2 || got[1].header.Get("Authorization") != c.wantApp || got[1].header.Get("X-LP-ON-BEHALF") != c.wantJWS {
				t.Errorf("%d attempts, the second with %q and %q", len(got), got[1].header.Get("Authorization"), got[1].header.Get("X-LP-ON-BEHALF"))
			}
			if got[0].body != got[1].body {
				t.Error("the second attempt is not the same request")
			}
		})
	}
}

func TestLostAnswersAreUnknownAndRefusedConnectionsAreNot(t *testing.T) {
	hangUp := func(after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, after)
				_ = conn.Close()
			}
		}
	}
	for _, c := range []struct {
		name        string
		handler     http.HandlerFunc
		dial        error
		want        Outcome
		invalidated int
		is          error
	}{
		{"hung up before the answer", hangUp(""), nil, Unknown, 0, nil},
		{"hung up within the header", hangUp("HTTP/1.1 200 OK\r\nCont"), nil, Unknown, 0, nil},
		{"hung up within the body", hangUp("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"reqId\":\"1\",\"code\":\"OK\""), nil, Unknown, 0, nil},
		{"hung up within a chunk", hangUp("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"req"), nil, Unknown, 0, nil},
		{"silence", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, Unknown, 0, context.DeadlineExceeded},
		{"silence within the body", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"code":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, nil, Unknown, 0, nil},
		{"connection refused", nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, Retry, 1, nil},
		{"no such host", nil, &net.DNSError{Err: "no such host", Name: "va.msg.liveperson.net"}, Retry, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lp := newLivePerson(t)
				if c.handler != nil {
					lp.HandleFunc(sendPath, c.handler)
				}
				if c.dial != nil {
					lp.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, c.dial }
				}
				client, f := testClient(t, lp.transport)
				_, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "my words"})
				failed := asError(t, err)
				if failed.Outcome != c.want || failed.Scope != ScopeBetween || (failed.Certainty == MaybeApplied) != (c.want == Unknown) {
					t.Errorf("got %v, %v, %v, want %v (%v)", failed.Outcome, failed.Scope, failed.Certainty, c.want, err)
				}
				if c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("got %v, want %v", err, c.is)
				}
				if f.domains.invalidated != c.invalidated {
					t.Errorf("domains invalidated %d times, want %d", f.domains.invalidated, c.invalidated)
				}
				if n := len(lp.received()); n > 1 {
					t.Errorf("%d attempts", n)
				}
				wantNoSecret(t, err, "my words", "app-1", "jws-", "v=3")
			})
		})
	}
}

func TestCancelledSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(sendPath, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		client, _ := testClient(t, lp.transport)
		before, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.Send(before, ana, mainDialog, ContentEvent{Message: "x"})
		if OutcomeOf(err) != Retry || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
		during, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Send(during, ana, mainDialog, ContentEvent{Message: "x"})
		if OutcomeOf(err) != Unknown || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled under way: %v", err)
		}
	})
}

func TestFailuresBeforeSending(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		want  Outcome
		scope Scope
		after time.Duration
	}{
		{"credentials refused", &lpauth.Error{Op: "app token", StatusCode: 400, RetryAfter: time.Minute, Err: lpauth.ErrCredentialsRefused}, Unauthorized, ScopeAccount, time.Minute},
		{"throttled", &lpauth.Error{Op: "app token", StatusCode: 429, Err: errors.New("x")}, Throttled, ScopeAccount, time.Second},
		{"outage", &lpauth.Error{Op: "app token", StatusCode: 503, Err: errors.New("x")}, Retry, ScopeBetween, 0},
		{"no answer", &lpauth.Error{Op: "app token", Err: &attempt.Error{Sent: true, Err: io.EOF}}, Retry, ScopeBetween, 0},
		{"bad identity", &lpauth.Error{Op: "consumer token", StatusCode: 400, Err: errors.New("x")}, Invalid, ScopeMessage, 0},
		{"bad account", &lpauth.Error{Op: "domain lookup", StatusCode: 401, Err: errors.New("x")}, Unauthorized, ScopeAccount, 0},
		{"no such service", &lpauth.Error{Op: "domain lookup", StatusCode: 404, Err: lpauth.ErrNoService}, Retry, ScopeAccount, 0},
		{"a proxy's page", &lpauth.Error{Op: "app token", StatusCode: 403, Between: true, Err: errors.New("x")}, Retry, ScopeBetween, 0},
		{"somebody else's error", errors.New("vault is sealed"), Retry, ScopeBetween, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			client, f := testClient(t, lp.transport)
			f.tokens.err = c.err
			_, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "x"})
			failed := asError(t, err)
			if failed.Outcome != c.want || failed.RetryAfter != c.after || failed.Scope != c.scope || failed.Certainty == MaybeApplied || !errors.Is(err, c.err) {
				t.Errorf("got %v, %v, %v, after %v (%v), want %v, %v after %v", failed.Outcome, failed.Scope, failed.Certainty, failed.RetryAfter, err, c.want, c.scope, c.after)
			}
			if len(lp.received()) != 0 {
				t.Error("a request was made")
			}
		})
	}
}

func TestOutcomeNames(t *testing.T) {
	want := map[Outcome]string{
		Delivered: "delivered", Throttled: "throttled", Unauthorized: "unauthorized", Closed: "closed",
		Retry: "retry", Invalid: "invalid", Unknown: "unknown", Outcome(99): "outcome(99)",
	}
	for o, name := range want {
		if o.String() != name {
			t.Errorf("got %q, want %q", o, name)
		}
	}
	if OutcomeOf(nil) != Delivered || OutcomeOf(io.EOF) != Unknown {
		t.Error("nil is delivered, and a foreign error unknown")
	}
}

func TestNewRefuses(t *testing.T) {
	f := &fakeTokens{}
	good := Options{AccountID: "1", Domains: &fakeDomains{}, AppTokens: f, Consumers: fakeConsumers{f}}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"account id": func(o *Options) { o.AccountID = "" },
		"domains":    func(o *Options) { o.Domains = nil },
		"app tokens": func(o *Options) { o.AppTokens = nil },
		"consumers":  func(o *Options) { o.Consumers = nil },
		"features":   func(o *Options) { o.Features = []string{"rich content"} },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// at is a source of one base for all services.
type at string

func (a at) BaseURL(context.Context, string) (string, error) { return string(a), nil }

func (a at) Invalidate() {}
