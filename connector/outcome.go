package connector

// Outcome says how a call ended.
type Outcome uint8

// The outcomes.
const (
	Delivered Outcome = iota
	Throttled
	Unauthorized
	Closed
	Retry
	Invalid
	Unknown
)

// String returns the lower-case name.
func (o Outcome) String() string {
	return [...]string{"delivered", "throttled", "unauthorized", "closed", "retry", "invalid", "unknown"}[o]
}
