package config

import (
	"crypto/subtle"
	"log/slog"
)

// What is shown instead of a secret. Whether one is configured at all is worth knowing and safe to tell.
const (
	hidden  = "[secret]"
	missing = "[unset]"
)

// Secret is a value that must never be shown: a password, a token, a signing key. It prints as a placeholder everywhere,
// and the zero value is a secret that is not set.
//
// It is a struct around a pointer rather than a string type because fmt and encoding/json reach into unexported fields and
// structs without asking the methods below; there they meet an address, not the text.
type Secret struct {
	text *string
}

// NewSecret returns a secret with the given text. The empty text is no secret: IsSet is false.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text, empty when the secret is not set. Call it where the text is used, and keep the Secret itself in
// structs.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is a secret.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal reports whether both secrets have the same text, in a time that depends only on the lengths.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns a placeholder.
func (s Secret) String() string {
	if s.text == nil {
		return missing
	}
	return hidden
}

// GoString returns a placeholder.
func (s Secret) GoString() string { return s.String() }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns a placeholder, so a secret does not survive a round trip; nothing that is written down may hold one.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the secret to text. It never fails, because an error could quote the text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}
