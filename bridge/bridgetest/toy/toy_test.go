package toy

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

func TestToy(t *testing.T) {
	const body = `{"id":"m-1","chat":"chat-1","author":"toy-consumer","text":"toy-text"}`
	bridgetest.TestAdapter(t, bridgetest.AdapterCase{
		New: func(t testing.TB, s bridgetest.Setting) bridge.Adapter {
			far, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			c := Config{Token: config.NewSecret("toy-token"), URL: far}
			return New(c, bridge.Parts{Core: s.Core, Transport: s.Client.Transport, Log: s.Log})
		},
		Doors: []bridgetest.Door{{
			Name:  "messages",
			Limit: 64 << 10,
			Request: func() *http.Request {
				r := httptest.NewRequest(http.MethodPost, "/channels/toy", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer toy-token")
				return r
			},
			Strangers: map[string]func(r *http.Request){
				"no token":    func(r *http.Request) { r.Header.Del("Authorization") },
				"other token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer other") },
			},
		}},
		Far:     &bridgetest.FarSide{Identity: func(c bridgetest.Call) string { return string(c.Body) }},
		Private: []string{"toy-consumer", "toy-text", "toy-token"},
	})
}
