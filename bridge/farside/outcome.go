package farside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"lpbridge/bridge"
	"lpbridge/internal/attempt"
)

// StatusError is a response that is no success.
type StatusError struct {
	// Name is who answered.
	Name   string
	Status int
	// Reason is what is wrong in our words, empty when that is not known.
	Reason string
}

// Error implements error.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answered %d", e.Name, e.Status)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}

// StatusOf is the status of the response that an error is about, 0 when there
// was none.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*StatusError](err); ok {
		return e.Status
	}
	return 0
}

// Cause drops that a failed call was a delivery, for one that was none.
func Cause(err error) error {
	if d, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		return d.Err
	}
	return err
}

// Why a status without words of the channel's own is no refusal of an event.
const (
	redirected  = "redirects are not followed, the configured address must be the final one"
	notItsWords = "in a form that is not its own, so something in between may have answered"
)

// refused says what a response that is no success means.
func (s *Side) refused(r *Response) *bridge.DeliveryError {
	outcome, reason, pause := outcomeOf(r.Status), "", time.Duration(0)
	if s.Refusal != nil {
		words, own := s.Refusal(r)
		switch {
		case !own && outcome != bridge.Throttled && outcome != bridge.Unknown:
			outcome, reason = outcomeOfStranger(r.Status), notItsWords
		case own:
			reason, pause = words.Reason, words.RetryAfter
			if words.Outcome != bridge.Unknown {
				outcome = words.Outcome
			}
		}
	}
	if r.Status >= 300 && r.Status <= 399 {
		reason = redirected
	}
	d := &bridge.DeliveryError{Outcome: outcome, RetryAfter: pause, Err: &StatusError{s.Name, r.Status, reason}}
	if pause == 0 && outcome != bridge.Invalid && outcome != bridge.Unauthorized {
		d.RetryAfter = attempt.RetryAfter(r.Header, time.Now())
	}
	return d
}

// outcomeOf is what a status means where the channel has no words of its own: no
// status alone condemns an event. After 5xx the call may have been applied,
// because a gateway that gave up waiting answers so too.
func outcomeOf(status int) bridge.Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return bridge.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return bridge.Unauthorized
	case status >= 500:
		return bridge.Unknown
	}
	return bridge.Retry
}

// outcomeOfStranger is what a status means that something in between answered with: it
// may have passed the call on and kept the channel's answer back, unless HTTP says that
// such a status is given before a request is processed (RFC 9110, 6585, 8470).
func outcomeOfStranger(status int) bridge.Outcome {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusLengthRequired, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusExpectationFailed, http.StatusMisdirectedRequest, http.StatusTooEarly,
		http.StatusUpgradeRequired, http.StatusRequestHeaderFieldsTooLarge:
		return bridge.Retry
	}
	return bridge.Unknown
}

// lost is the end of a call that got no response. What was sent may have arrived.
func (s *Side) lost(ctx, call context.Context, err error) *bridge.DeliveryError {
	d := &bridge.DeliveryError{Outcome: bridge.Unknown, Err: s.ended(ctx, call, err)}
	if tried, ok := errors.AsType[*attempt.Error](err); ok && !tried.Sent {
		d.Outcome = bridge.Retry
	}
	return d
}

// ended is why a call ended early.
func (s *Side) ended(ctx, call context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case call.Err() != nil:
		return fmt.Errorf("%s did not answer in time: %w", s.Name, call.Err())
	}
	return safeError(err)
}

// failed says what was tried.
func failed(op string, d *bridge.DeliveryError) *bridge.DeliveryError {
	if op != "" {
		d.Err = fmt.Errorf("%s: %w", op, d.Err)
	}
	return d
}

// safeError keeps of an error of a connection what it can say without quoting an
// address's query or bytes of the far side's.
func safeError(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	for _, ended := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, ended) {
			return ended
		}
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return fmt.Errorf("the connection was closed: %w", known)
		}
	}
	if tried, ok := errors.AsType[*attempt.Error](err); ok {
		err = tried.Err
	}
	return fmt.Errorf("the call failed (%T)", err)
}
