package bridge

import "log/slog"

// Peer is how other replicas reach the one that owns the journal. The database tells
// them; its zero value is nobody who can be reached.
type Peer struct {
	// Address is host:port of its peer listener.
	Address string
	// Certificate is the SHA-256 of the certificate it proves itself with, in hexadecimal
	// digits.
	Certificate string
	// Token is what replicas prove themselves with.
	Token PeerToken
}

// PeerToken proves that somebody reads the database. It does not print.
type PeerToken string

// String implements [fmt.Stringer] without showing the token.
func (PeerToken) String() string { return "(hidden)" }

// GoString implements [fmt.GoStringer] without showing the token.
func (t PeerToken) GoString() string { return t.String() }

// LogValue implements [slog.LogValuer] without showing the token.
func (t PeerToken) LogValue() slog.Value { return slog.StringValue(t.String()) }
