package peers

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// frameOf is a frame of a server.
func frameOf(first byte, size int) []byte {
	b := []byte{first}
	switch {
	case size < short16:
		b = append(b, byte(size))
	case size <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, short16), uint16(size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, short64), uint64(size))
	}
	return append(b, make([]byte, size)...)
}

// TestFramesAreFollowed: in whatever pieces a server's frames come, their borders are
// known, whether a message is open between two of them, and whether the server said
// goodbye.
func TestFramesAreFollowed(t *testing.T) {
	const text, more, last, ping, goodbye = 0x81, 0x01, 0x80, 0x89, 0x88
	type step struct {
		frame              []byte
		inMessage, closing bool
	}
	steps := []step{
		{frameOf(text, 0), false, false}, {frameOf(text, 1), false, false}, {frameOf(text, 125), false, false}, {frameOf(text, 126), false, false},
		{frameOf(text, 0xffff), false, false}, {frameOf(text, 0x10000), false, false},
		// A control frame between the parts of a message ends nothing.
		{frameOf(more, 3), true, false}, {frameOf(ping, 4), true, false}, {frameOf(last, 5), false, false},
		{frameOf(goodbye, 2), false, true},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var f frames
		for i, s := range steps {
			left := s.frame
			for len(left) > 0 {
				n := min(1+random.IntN(1+random.IntN(20_000)), len(left))
				f.pass(left[:n])
				left = left[n:]
				if whole := len(left) == 0; f.whole() != whole {
					t.Fatalf("frame %d with %d bytes to come: whole %t", i, len(left), f.whole())
				}
			}
			if f.inMessage != s.inMessage || f.closing != s.closing {
				t.Fatalf("after frame %d: in a message %t, closing %t", i, f.inMessage, f.closing)
			}
		}
	}
}
