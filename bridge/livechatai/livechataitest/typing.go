package livechataitest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// What the description of the typing endpoint asks for.
const (
	// leastGap is "at most once every ~5 seconds", with half a second for "~".
	leastGap = 4500 * time.Millisecond
	// mostGap is "hidden automatically after 10 seconds".
	mostGap = 10 * time.Second
)

//go:embed testdata/typing.yaml
var typingText []byte

// contract is the vendor's OpenAPI text of the typing endpoint.
type contract struct{ router routers.Router }

func newContract() *contract {
	doc, err := openapi3.NewLoader().LoadFromData(typingText)
	if err != nil {
		panic("livechataitest: read typing.yaml: " + err.Error())
	}
	// Requests come to any address in tests.
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		panic("livechataitest: read typing.yaml: " + err.Error())
	}
	return &contract{router}
}

// typing checks a request against the text.
func (c *contract) typing(r *http.Request, body []byte) error {
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := c.router.FindRoute(r)
	if err != nil {
		return err
	}
	return openapi3filter.ValidateRequest(context.WithoutCancel(r.Context()), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}

// indicator is what one operator's typing looks like in the widget.
type indicator struct {
	// lastOn is when the last true came, and on that no false came since.
	lastOn time.Time
	on     bool
}

// showTyping takes one typing call and checks its time.
func (s *Server) showTyping(c *Conversation, call Call) *Answer {
	var body struct {
		IsTyping bool
		UserID   string
	}
	if err := json.Unmarshal([]byte(call.Body), &body); err != nil {
		return failure(http.StatusBadRequest)
	}
	key := c.ID + " " + body.UserID
	i := s.typing[key]
	if i == nil {
		i = &indicator{}
		s.typing[key] = i
	}
	gap := call.At.Sub(i.lastOn)
	switch {
	case !body.IsTyping && !i.on:
		s.complain("typing: false, but nothing was shown")
	case !body.IsTyping && gap >= mostGap:
		s.complain("typing: false %s after the last true, when it was hidden already", gap)
	case body.IsTyping && !i.lastOn.IsZero() && gap < leastGap:
		s.complain("typing: true %s after the last", gap)
	case body.IsTyping && i.on && gap > mostGap:
		s.complain("typing: the indicator went out for %s", gap-mostGap)
	}
	i.on = body.IsTyping
	if body.IsTyping {
		i.lastOn = call.At
	}
	return &Answer{Status: http.StatusOK, Body: `{"status":"success"}`}
}
