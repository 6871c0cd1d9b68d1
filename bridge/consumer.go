package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// ExtConsumerID makes the ext_consumer_id that stands for a channel's consumer
// in LivePerson. An id that could be a phone number or an e-mail address is
// hashed, for LivePerson shows and exports these ids (Monitoring API, consumer
// identity: unguessable, no personal data).
func ExtConsumerID(channel string, id ConsumerID) string {
	if mayBePersonal(string(id)) {
		sum := sha256.Sum256([]byte(channel + ":" + string(id)))
		return channel + ":" + hex.EncodeToString(sum[:])
	}
	return channel + ":" + string(id)
}

// mayBePersonal reports whether an id looks like an e-mail address or a phone
// number: it has an @, or seven or more digits and little else.
func mayBePersonal(id string) bool {
	if strings.Contains(id, "@") {
		return true
	}
	digits, others := 0, 0
	for _, r := range id {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case strings.ContainsRune("+-() ./", r):
		default:
			others++
		}
	}
	return digits >= 7 && others == 0
}
