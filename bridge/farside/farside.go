package farside

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"lpbridge/bridge"
	"lpbridge/internal/attempt"
)

// Client is what all channels make their calls with.
type Client struct {
	transport http.RoundTripper
	userAgent string
}

// NewClient returns a client that calls itself userAgent. A nil transport stands
// for [http.DefaultTransport].
func NewClient(transport http.RoundTripper, userAgent string) *Client {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &Client{transport: transport, userAgent: userAgent}
}

// Side is one far side.
type Side struct {
	Client *Client
	// Name is who answers, as error texts have it: "Chatwoot".
	Name string
	// Timeout bounds a call, its response included.
	Timeout time.Duration
	// MaxBody is the longest response read, in bytes; 0 for a far side whose
	// responses have nothing to read but their status.
	MaxBody int64
	// Refusal reads a response that is no success in the channel's own terms. It
	// reports false for a body that is not of the channel's making, which then
	// came from something in between. Nil for a far side without a form of its
	// own, of which only the status counts.
	Refusal func(r *Response) (Refusal, bool)
}

// Refusal is what a channel's own words say about a call.
type Refusal struct {
	// Outcome is what they mean. Zero, which is [bridge.Unknown], leaves it to the
	// status.
	Outcome bridge.Outcome
	// RetryAfter is a pause that follows from the words; 0 for that of the header.
	RetryAfter time.Duration
	// Reason says in our words what is wrong; may be empty.
	Reason string
}

// Request is one call.
type Request struct {
	// Op is what is tried, for error texts; may be empty.
	Op     string
	Method string
	URL    *url.URL
	Header http.Header
	// Body is nil for none.
	Body io.Reader
	// Length is that of a Body of which it cannot be seen; 0 when it is not known.
	Length int64
	// Timeout stands in place of that of the side; 0 leaves it.
	Timeout time.Duration
}

// Response is what a far side said.
type Response struct {
	Status int
	Header http.Header
	// Body is what came of the body.
	Body []byte
	// cut is why Body is not whole.
	cut  error
	name string
}

// Do makes a call once and returns the response when its status says success.
// Errors are *[bridge.DeliveryError].
func (s *Side) Do(ctx context.Context, r Request) (*Response, error) {
	call, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, s.Timeout))
	defer cancel()
	req, err := s.request(call, r)
	if err != nil {
		return nil, failed(r.Op, &bridge.DeliveryError{Outcome: bridge.Invalid, Err: err})
	}
	// The transport is asked without http.Client: that would follow redirects,
	// and quotes address and Location in its errors.
	resp, err := attempt.Wrap(s.Client.transport).RoundTrip(req)
	if err != nil {
		return nil, failed(r.Op, s.lost(ctx, call, err))
	}
	defer attempt.Drain(resp.Body)
	answered := s.read(ctx, call, resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, failed(r.Op, s.refused(answered))
	}
	return answered, nil
}

func (s *Side) request(ctx context.Context, r Request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), r.Body)
	if err != nil {
		return nil, errors.New("the address cannot be called")
	}
	if r.Length > 0 {
		req.ContentLength = r.Length
	}
	maps.Copy(req.Header, r.Header)
	req.Header.Set("User-Agent", s.Client.userAgent)
	return req, nil
}

func (s *Side) read(ctx, call context.Context, resp *http.Response) *Response {
	r := &Response{Status: resp.StatusCode, Header: resp.Header, name: s.Name}
	if s.MaxBody == 0 {
		return r
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, s.MaxBody+1))
	switch {
	case err != nil:
		r.cut = s.ended(ctx, call, err)
	case int64(len(body)) > s.MaxBody:
		body, r.cut = body[:s.MaxBody], errors.New("the response is too long")
	}
	r.Body = body
	return r
}

// Decode reads the body of a successful response as JSON. One that is not whole
// or not JSON leaves open who sent it, and so whether the call was applied.
func (r *Response) Decode(into any) error {
	if r.cut != nil {
		return &bridge.DeliveryError{Outcome: bridge.Unknown, Err: r.cut}
	}
	if json.Unmarshal(r.Body, into) != nil {
		return r.Strange()
	}
	return nil
}

// Strange is the end of a call whose response says success in a form that is not
// the far side's: a sign-in page answers 200 as well.
func (r *Response) Strange() error {
	return &bridge.DeliveryError{
		Outcome: bridge.Unknown, Err: fmt.Errorf("the response of %d is not what %s sends", r.Status, r.name),
	}
}
