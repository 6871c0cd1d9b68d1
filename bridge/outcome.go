package bridge

import (
	"fmt"
	"time"

	"lpbridge/connector"
)

// Outcome says how a delivery ended. It decides what happens next, it is the
// reason of a dead letter, and it is the metric label: one enum for all three,
// shared with package connector.
type Outcome = connector.Outcome

// The outcomes, see [connector.Outcome].
const (
	Delivered    = connector.Delivered
	Throttled    = connector.Throttled
	Unauthorized = connector.Unauthorized
	Closed       = connector.Closed
	Retry        = connector.Retry
	Invalid      = connector.Invalid
	Unknown      = connector.Unknown
)

// DeliveryError is how an adapter says that the channel did not take an event.
type DeliveryError struct {
	Outcome Outcome
	// RetryAfter is how long the channel asked us to wait; 0 when it did not.
	RetryAfter time.Duration
	// Err carries no secret, no message text and no personal data.
	Err error
}

// Error implements error.
func (e *DeliveryError) Error() string {
	return fmt.Sprintf("deliver: %s: %v", e.Outcome, e.Err)
}

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Err }
