package layer

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The prefixes of ids.
const (
	prefixIdentity     = "layer:///identities/"
	prefixConversation = "layer:///conversations/"
	prefixMessage      = "layer:///messages/"
	prefixContent      = "layer:///content/"
	prefixProvider     = "layer:///providers/"
	prefixKey          = "layer:///keys/"
)

// maxUserID is the longest user id, in bytes; escaped it must fit an id.
const maxUserID = 160

// checkUserID reports what is wrong with a user id.
func checkUserID(user string) error {
	switch {
	case user == "":
		return errors.New("is required")
	case len(user) > maxUserID:
		return errors.New("is too long")
	case !utf8.ValidString(user) || strings.ContainsFunc(user, unicode.IsControl):
		return errors.New("has control characters or is not UTF-8")
	case user == "." || user == "..":
		return errors.New("cannot stand in a path")
	}
	return nil
}

// escapeUser spells a user id as the SDKs do (web-xdk, strictEncodeURI).
func escapeUser(user string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(user) {
		c := user[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.*", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

func identityID(user string) string { return prefixIdentity + escapeUser(user) }

// userOf is the user of an identity id, or of a plain user id as API 1.0 has it.
func userOf(id string, v version) (string, bool) {
	rest, isID := strings.CutPrefix(id, prefixIdentity)
	if !isID {
		return id, v == version1 && id != ""
	}
	user, err := url.PathUnescape(rest)
	return user, err == nil && user != ""
}

// uuidOf takes the UUID out of an id. Its spelling is kept, because clients
// compare ids as text and some write them in capitals.
func uuidOf(id, prefix string) (string, bool) {
	rest, ok := strings.CutPrefix(id, prefix)
	return rest, ok && isUUID(rest)
}

// isUUID accepts the one spelling with hyphens: others would be further names of
// the same object.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }

// partUUID takes the UUID out of a part's id.
func partUUID(id, message string) (string, bool) {
	rest, ok := strings.CutPrefix(id, prefixMessage)
	if !ok {
		return "", false
	}
	owner, own, ok := strings.Cut(rest, "/parts/")
	return own, ok && strings.EqualFold(owner, message) && isUUID(own)
}

// escapeKey spells a key within a layer-patch property.
func escapeKey(key string) string {
	return strings.NewReplacer(`\`, `\\`, `.`, `\.`).Replace(key)
}

// splitProperty takes a layer-patch property apart at its dots, but for those
// behind a backslash.
func splitProperty(property string) []string {
	var keys []string
	var key strings.Builder
	for i := 0; i < len(property); i++ {
		switch c := property[i]; {
		case c == '\\' && i+1 < len(property):
			i++
			key.WriteByte(property[i])
		case c == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(c)
		}
	}
	return append(keys, key.String())
}
