package connector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

func TestRawEventsAreChecked(t *testing.T) {
	_, client, done := demo()
	defer done()
	to := connector.Target{ConversationID: "C"}
	for _, event := range []string{"", "null", "[]", `"x"`, "{", "{}", `{"type":7}`, `{"type":""}`} {
		_, err := client.Send(t.Context(), "u", to, connector.RawEvent{Event: json.RawMessage(event)})
		if connector.OutcomeOf(err) != connector.Invalid || !strings.Contains(err.Error(), "event is no json object") {
			t.Errorf("%q: error %v", event, err)
		}
	}
	if err := client.Call(t.Context(), "u", "", nil, nil); connector.OutcomeOf(err) != connector.Invalid {
		t.Errorf("call without a type: error %v", err)
	}
}

// TestErrorsKeepTheAnswer: what LivePerson said can be looked at, and is not in the text.
func TestErrorsKeepTheAnswer(t *testing.T) {
	page := "<html>" + strings.Repeat("somebody's words ", 1000)
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"refusal":       {http.StatusBadRequest, `{"code":"BAD_REQUEST","body":{"msg":"somebody's words"}}`, `{"code":"BAD_REQUEST","body":{"msg":"somebody's words"}}`},
		"page":          {http.StatusBadGateway, page, page[:4<<10]},
		"odd success":   {http.StatusOK, `{"somebody's words":1}`, `{"somebody's words":1}`},
		"empty success": {http.StatusOK, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sim := lpsim.New(lpsim.Config{})
			defer sim.Close()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/send") {
					sim.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			}))
			defer server.Close()
			client, err := connector.Connect(connector.ConnectOptions{AccountID: "sandbox", ClientID: "sandbox-client", ClientSecret: "sandbox-secret", DomainURL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Send(context.Background(), "u", connector.Target{ConversationID: "C"}, connector.ContentEvent{Message: "hello"})
			var failed *connector.Error
			if !errors.As(err, &failed) || !bytes.Equal(failed.Answer, []byte(tc.want)) {
				t.Fatalf("answer %.80q, error %v", failed.Answer, err)
			}
			for _, text := range []string{err.Error(), fmt.Sprintf("%v %+v", err, err)} {
				if strings.Contains(text, "somebody") {
					t.Errorf("the text repeats the answer: %s", text)
				}
			}
		})
	}
}
