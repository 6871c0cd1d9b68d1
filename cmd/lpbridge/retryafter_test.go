package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"lpbridge/lpauth"
)

// withoutRetryAfter are the declarations that answer 429 or 503 and do not say when to
// come again, and why not.
var withoutRetryAfter = map[string]string{
	"connector/rules.go limitRules":                 "it is about answers of LivePerson's",
	"connector/rules.go codeStatus":                 "it is about answers of LivePerson's",
	"connector/lpsim/engagement.go serve":           "LivePerson's Monitoring API documents none",
	"connector/lpsim/scenario/channel.go ServeHTTP": "the channel is away, and who is away says nothing",
	"cmd/lpbridge/front/faults.go outageStatus":     "LivePerson is away, and documents none",
	"cmd/lpbridge/refusals.go reasons":              "words for what was answered elsewhere",
	"tools/lpload/floors.go ServeHTTP":              "a stand-in that ends a measurement",
	"tools/lpload/upstream.go refuses":              "LivePerson is played, and documents none",
	"tools/lpsoak/consumers.go post":                "it answers nobody: it stands for a request without an answer",
	"tools/lpsoak/faults.go plan":                   "LivePerson is away, and documents none",
}

var comingBack = map[string]bool{"StatusServiceUnavailable": true, "StatusTooManyRequests": true}

// TestEveryRefusalSaysWhenToComeBack: who answers 429 or 503 says when there will be
// more, or why that is not said.
func TestEveryRefusalSaysWhenToComeBack(t *testing.T) {
	known := maps.Clone(withoutRetryAfter)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, d := range s.tree.Decls {
			for _, answer := range answersOf(d) {
				name := s.path + " " + answer.name
				if _, excused := withoutRetryAfter[name]; excused {
					delete(known, name)
				} else if !answer.says {
					t.Errorf("%s answers 429 or 503 without Retry-After", name)
				}
			}
		}
	}
	for name := range known {
		t.Errorf("%s is excused, and does not answer so", name)
	}
}

// busyAnswer is a declaration that answers 429 or 503.
type busyAnswer struct {
	name string
	says bool
}

func answersOf(d ast.Decl) (found []busyAnswer) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if answers(d) {
			found = append(found, busyAnswer{d.Name.Name, saysWhen(d)})
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && answers(v) {
				found = append(found, busyAnswer{v.Names[0].Name, saysWhen(v)})
			}
		}
	}
	return found
}

// answers reports whether something has one of the statuses other than to compare it.
func answers(n ast.Node) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				return false
			}
		case *ast.CaseClause:
			// What is done is looked at, and not what is asked.
			for _, done := range n.Body {
				found = found || answers(done)
			}
			return false
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "http" && comingBack[n.Sel.Name] {
				found = true
			}
		}
		return true
	})
	return found
}

// saysWhen reports whether something says when to come again.
func saysWhen(n ast.Node) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && (strings.EqualFold(key.Name, "retryAfter") || key.Name == "wait") {
				found = true
			}
		case *ast.BasicLit:
			found = found || n.Value == `"Retry-After"`
		}
		return true
	})
	return found
}

// TestBusyDoorsSayWhenToComeBack knocks at the doors of a bridge that can take
// nothing.
func TestBusyDoorsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, map[string]string{
		"LPBRIDGE_MAX_PENDING": "20", "LPBRIDGE_ADMIN_TOKEN": "a-token-of-the-test-that-is-long-enough", "CHATWOOTAPI_CONTACT_REQUESTS": "20", "LAYER_USER_REQUESTS": "20",
	})
	contact, user := x.chatwootContact("quiet"), x.layerUser("quiet")
	noisyContact, noisyUser := x.chatwootContact("noisy"), x.layerUser("noisy")
	x.away(t, true)
	filled := 0
	full := func() bool {
		body := message("t-1", fmt.Sprint("fill-", filled), "more")
		filled++
		a, err := try(http.MethodPost, x.p.public+"/channels/webhook", signed(t, body), body)
		return err == nil && a.status == http.StatusServiceUnavailable
	}
	await(t, "a full journal", full)
	notification := fmt.Sprintf(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[{"sequence":40,"originatorId":"agent-1",
		"originatorMetadata":{"id":"agent-1","role":"ASSIGNED_AGENT"},"conversationId":%[1]q,"dialogId":%[1]q,"event":{"type":"ContentEvent","contentType":"text/plain","message":"x"}}]}}`,
		x.parties[0].conversation)
	chatwoot := `{"event":"message_created","id":900,"message_type":"incoming","content_type":"text","content":"x","private":false,"account":{"id":1},"inbox":{"id":3},
		"sender":{"id":10,"name":"Ana"},"conversation":{"id":42,"inbox_id":3,"status":"open","contact_inbox":{"id":31,"contact_id":10,"source_id":"s-1"},"meta":{"sender":{"id":10,"name":"Ana","type":"contact"}}}}`
	for _, tc := range []struct {
		name   string
		status int
		ask    func() answer
	}{
		{"webhook, full", 503, func() answer {
			body := message("t-9", "m-9", "x")
			return do(t, http.MethodPost, x.p.public+"/channels/webhook", signed(t, body), body)
		}},
		{"chatwoot, full", 503, func() answer {
			return do(t, http.MethodPost, x.p.public+"/channels/chatwoot/"+chatwootDoor, plainJSON, chatwoot)
		}},
		{"chatwootapi, full", 503, func() answer { return contact.says("x") }},
		{"layer, full", 503, func() answer { return user.says("x") }},
		{"LivePerson, full", 503, func() answer {
			return do(t, http.MethodPost, x.p.public+"/webhooks/liveperson", http.Header{
				"Content-Type": {"application/json"}, "X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA1, "sandbox-secret", []byte(notification))},
			}, notification)
		}},
		{"chatwootapi, too often", 429, func() (a answer) {
			for range 30 {
				a = noisyContact.says("x")
			}
			return a
		}},
		{"layer, too often", 429, func() (a answer) {
			for range 30 {
				a = noisyUser.says("x")
			}
			return a
		}},
		{"admin, wrong tokens", 429, func() (a answer) {
			for range 12 {
				a = do(t, http.MethodGet, x.p.admin+"/status", http.Header{"Authorization": {"Bearer wrong"}}, "")
			}
			return a
		}},
	} {
		a := tc.ask()
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != tc.status || err != nil || seconds < 1 || seconds > 60 {
			t.Errorf("%s: %d, Retry-After %q: %.200s", tc.name, a.status, a.header.Get("Retry-After"), a.body)
		}
	}
	x.away(t, false)
	x.p.terminate()
}
