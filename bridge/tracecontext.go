package bridge

import "bytes"

// The member of a payload that says to which trace an event belongs. It is kept beside
// the event and not in it: channels get theirs in a header.
const (
	traceMember = `,"traceparent":"`
	// traceLength is that of a W3C traceparent of version 00 (Trace Context, 3.2.2).
	traceLength = 55
	traceEnd    = `"}`
)

// WithTrace adds a W3C traceparent to an encoded event; none, or what is no
// traceparent, changes nothing.
func WithTrace(payload []byte, traceparent string) []byte {
	if len(traceparent) != traceLength || !bytes.HasSuffix(payload, []byte("}")) {
		return payload
	}
	whole := append(payload[:len(payload)-1:len(payload)-1], traceMember...)
	whole = append(whole, traceparent...)
	return append(whole, traceEnd...)
}

// Traced notes in an entry to which trace its event belongs; none changes nothing.
func (e *Entry) Traced(traceparent string) {
	if traceparent != "" {
		e.Trace, e.Payload = traceparent, WithTrace(e.Payload, traceparent)
	}
}

// TraceOf returns the traceparent of an encoded event; empty when it has none.
func TraceOf(payload []byte) string {
	at := len(payload) - len(traceEnd) - traceLength
	if at < len(traceMember) || !bytes.HasSuffix(payload, []byte(traceEnd)) || !bytes.HasSuffix(payload[:at], []byte(traceMember)) {
		return ""
	}
	return string(payload[at : at+traceLength])
}
