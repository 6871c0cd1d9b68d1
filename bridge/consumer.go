package bridge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

// extConsumerDigits is how much of the hash an ext_consumer_id holds: 160 bits.
const extConsumerDigits = 40

// ExtConsumerID makes the ext_consumer_id that stands for a channel's consumer in
// LivePerson, which shows and exports it (Monitoring API, consumer identity:
// unguessable, no personal data). What a channel calls a person may be a phone
// number or an e-mail address in any form, and whoever knows the id of a consumer
// may speak as them: so it is hashed with a key of the installation.
func ExtConsumerID(key []byte, channel string, id ConsumerID) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(channel + "\x00" + string(id)))
	return channel + ":" + hex.EncodeToString(mac.Sum(nil))[:extConsumerDigits]
}

// external is what [ExtConsumerID] makes.
var external = regexp.MustCompile(`^([^:]+):[0-9a-f]{40}$`)

// External reports whether an id is one that [ExtConsumerID] made, and of which
// channel.
func (id ConsumerID) External() (channel string, ok bool) {
	parts := external.FindStringSubmatch(string(id))
	if parts == nil {
		return "", false
	}
	return parts[1], true
}

// Alone is the consumer as who it is for certain.
func (c *Consumer) Alone() *Consumer {
	alone := *c
	alone.ID, alone.Apart = c.Apart, ""
	return &alone
}
