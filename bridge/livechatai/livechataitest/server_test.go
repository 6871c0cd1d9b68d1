package livechataitest

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// post makes one call with the right key.
func post(t *testing.T, s *Server, path, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://far.example/api/v2/conversations/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+Key)
	resp, err := s.Transport().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

func TestTypingIsJudged(t *testing.T) {
	const on, off = `{"isTyping":true}`, `{"isTyping":false}`
	type call struct {
		at   float64
		body string
	}
	tests := []struct {
		name  string
		calls []call
		want  string
	}{
		{"as documented", []call{{0, on}, {5, on}, {10, on}, {12, off}}, ""},
		{"within the tolerance", []call{{0, on}, {4.6, on}, {14.6, on}}, ""},
		{"a burst after the last went out", []call{{0, on}, {1, off}, {30, on}}, ""},
		{"too soon", []call{{0, on}, {4.4, on}}, "typing: true 4.4s after the last"},
		{"too soon with an end between", []call{{0, on}, {1, off}, {2, on}}, "typing: true 2s after the last"},
		{"too late", []call{{0, on}, {10.5, on}}, "typing: the indicator went out for 500ms"},
		{"an end of nothing", []call{{0, off}}, "typing: false, but nothing was shown"},
		{"an end of what is hidden", []call{{0, on}, {11, off}}, "typing: false 11s after the last true, when it was hidden already"},
		{"another operator has a pace of their own", []call{{0, on}, {1, `{"isTyping":true,"userId":"u"}`}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New()
				s.Open(Conversation{ID: "chat_1"})
				began := time.Now()
				for _, c := range tt.calls {
					time.Sleep(time.Until(began.Add(time.Duration(c.at * float64(time.Second)))))
					if status := post(t, s, "chat_1/typing", c.body); status != http.StatusOK {
						t.Errorf("answered %d", status)
					}
				}
				if diff := cmp.Diff(tt.want, strings.Join(s.Complaints(), "\n")); diff != "" {
					t.Errorf("complaints (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTypingIsOfTheVendorsForm(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"isTyping":"true"}`, `{"isTyping":true,"userId":7}`, `[]`, `{"userId":"u"}`} {
		s := New()
		s.Open(Conversation{ID: "chat_1"})
		if status := post(t, s, "chat_1/typing", body); status != http.StatusBadRequest || len(s.Complaints()) != 1 {
			t.Errorf("%s: answered %d with %d complaints, want 400 and one", body, status, len(s.Complaints()))
		}
	}
}

func TestStatuses(t *testing.T) {
	s := New()
	s.Open(Conversation{ID: "chat_1", Agent: "a"})
	s.Open(Conversation{ID: "chat_2", Agent: "a", Foreign: true})
	tests := []struct {
		method, path, key string
		want              int
	}{
		{"GET", "?agentId=a", Key, 200},
		{"GET", "", Key, 400},
		{"GET", "?agentId=a&perPage=101", Key, 400},
		{"GET", "?agentId=a&page=x", Key, 400},
		{"GET", "/chat_1", Key, 200},
		{"GET", "/chat_1", "", 401},
		{"GET", "/chat_1", "other", 401},
		{"GET", "/chat_2", Key, 403},
		{"GET", "/chat_3", Key, 404},
		{"GET", "/chat_1/reply", Key, 404},
		{"POST", "/chat_1/reply", Key, 400},
		{"POST", "/chat_1/end", Key, 200},
		{"POST", "/chat_1/shout", Key, 404},
	}
	for _, tt := range tests {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "https://far.example/api/v2/conversations"+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+tt.key)
		resp, err := s.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: answered %d, want %d", tt.method, tt.path, resp.StatusCode, tt.want)
		}
	}
}
