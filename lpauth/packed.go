package lpauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// How a consumer's token is packed: the segments of a JWS without their base64, and
// where in them the consumer's id stands. What is no such token is kept as it is. The
// form is of no use outside this process.

// packedKey is half a hash: a token is longer than what it is found by, and nobody has
// two identities for which it is the same.
func packedKey(identity ConsumerIdentity) []byte {
	sum := sha256.Sum256([]byte(identity))
	return sum[:16]
}

// strict decodes only what its own encoding would be.
var strict = base64.RawURLEncoding.Strict()

func packConsumer(c Consumer) []byte {
	segments := strings.Split(c.Token, ".")
	var raw []byte
	for _, segment := range segments {
		decoded, err := strict.DecodeString(segment)
		if err != nil || strings.ContainsAny(segment, "\r\n") {
			segments, raw = nil, []byte(c.Token)
			break
		}
		raw = append(raw, decoded...)
	}
	at := -1
	if c.ID != "" {
		if at = bytes.Index(raw, []byte(c.ID)); at < 0 {
			at = len(raw)
			raw = append(raw, c.ID...)
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(segments)))
	for _, segment := range segments {
		b = binary.AppendUvarint(b, uint64(strict.DecodedLen(len(segment))))
	}
	if segments == nil {
		b = binary.AppendUvarint(b, uint64(len(c.Token)))
	}
	b = binary.AppendUvarint(b, uint64(at+1))
	b = binary.AppendUvarint(b, uint64(len(c.ID)))
	return append(b, raw...)
}

func unpackConsumer(b []byte) Consumer {
	number := func() int {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return int(n)
	}
	segments := make([]int, number())
	for i := range segments {
		segments[i] = number()
	}
	plain := 0
	if len(segments) == 0 {
		plain = number()
	}
	at, length := number()-1, number()
	var c Consumer
	if at >= 0 {
		c.ID = ConsumerID(b[at : at+length])
	}
	if len(segments) == 0 {
		c.Token = string(b[:plain])
		return c
	}
	token := make([]byte, 0, strict.EncodedLen(len(b))+len(segments))
	for i, size := range segments {
		if i > 0 {
			token = append(token, '.')
		}
		token = strict.AppendEncode(token, b[:size])
		b = b[size:]
	}
	c.Token = string(token)
	return c
}
