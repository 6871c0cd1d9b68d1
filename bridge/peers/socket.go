package peers

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// farewellTime is how long a client's words wait until it was told that its owner went.
	farewellTime = time.Second
	// readingTime is how long a client may take to read what passes through; the owner
	// gives it as long.
	readingTime = 10 * time.Second
)

// watchSocket has the client of a socket told when the owner goes without a word.
func (f *Forwarder) watchSocket(a *attempt, answer *http.Response) {
	conn, ok := answer.Body.(io.ReadWriteCloser)
	if !ok {
		return
	}
	a.switched = true
	f.sockets.Add(1)
	f.open.Add(1)
	answer.Body = &socket{
		ReadWriteCloser: conn, last: farewell(a.request.door.Farewell), told: make(chan struct{}),
		closed: sync.OnceFunc(func() {
			f.open.Add(-1)
			f.sockets.Done()
		}),
	}
}

// farewell are the frames for who is to come again: a text, if there is one, and the end.
func farewell(text []byte) [2][]byte {
	const finalText, finalClose = 0x81, 0x88
	var told []byte
	if len(text) > 0 && len(text) < short16 {
		told = append([]byte{finalText, byte(len(text))}, text...)
	}
	reason := binary.BigEndian.AppendUint16(nil, uint16(websocket.StatusServiceRestart))
	reason = append(reason, "another replica serves from now on"...)
	return [2][]byte{told, append([]byte{finalClose, byte(len(reason))}, reason...)}
}

// socket is the owner's end of a WebSocket. When it breaks off, what the client reads ends
// as when a server restarts in order.
type socket struct {
	io.ReadWriteCloser
	// last are the frames of the farewell.
	last   [2][]byte
	frames frames
	closed func()

	// rest is what is still to be read of the farewell; told is closed when all was.
	ended bool
	rest  []byte
	once  sync.Once
	told  chan struct{}
}

// Read implements [io.Reader].
func (s *socket) Read(p []byte) (int, error) {
	if !s.ended {
		n, err := s.ReadWriteCloser.Read(p)
		s.frames.pass(p[:n])
		if err == nil {
			return n, nil
		}
		s.ended = true
		if s.frames.whole() && !s.frames.closing {
			if !s.frames.inMessage {
				s.rest = append(s.rest, s.last[0]...)
			}
			s.rest = append(s.rest, s.last[1]...)
		}
		if n > 0 {
			return n, nil
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	if n > 0 {
		return n, nil
	}
	s.once.Do(func() { close(s.told) })
	return 0, io.EOF
}

// Write implements [io.Writer]. What a client says to an owner that went must not end the
// connection before the farewell.
func (s *socket) Write(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Write(p)
	if err != nil {
		s.Close()
		enough := time.NewTimer(farewellTime)
		defer enough.Stop()
		select {
		case <-s.told:
		case <-enough.C:
		}
	}
	return n, err
}

// Close implements [io.Closer].
func (s *socket) Close() error {
	err := s.ReadWriteCloser.Close()
	s.closed()
	return err
}

// frames follows the frames of a server (RFC 6455, section 5.2), so that nothing is put
// into the middle of one.
type frames struct {
	header [10]byte
	have   int
	// left are the bytes of the frame that are still to come.
	left uint64
	// inMessage says that a message has begun and not ended, closing that the server said
	// goodbye.
	inMessage, closing bool
}

const (
	short16 = 126
	short64 = 127
)

// pass takes note of bytes.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(uint64(len(p)), f.left)
			f.left -= n
			p = p[n:]
			continue
		}
		f.header[f.have] = p[0]
		f.have++
		p = p[1:]
		f.begin()
	}
}

// begin reads the header once all of it is there.
func (f *frames) begin() {
	if f.have < 2 {
		return
	}
	length, size := uint64(f.header[1]&0x7f), 2
	switch length {
	case short16:
		size = 4
	case short64:
		size = 10
	}
	if f.have < size {
		return
	}
	switch size {
	case 4:
		length = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 10:
		length = binary.BigEndian.Uint64(f.header[2:])
	}
	f.have, f.left = 0, length
	const final, control, opClose = 0x80, 0x08, 0x08
	switch opcode := f.header[0] & 0x0f; {
	case opcode == opClose:
		f.closing = true
	case opcode&control == 0:
		f.inMessage = f.header[0]&final == 0
	}
}

// whole reports whether no frame is in the middle.
func (f *frames) whole() bool { return f.have == 0 && f.left == 0 }

// client is who gets an answer. A connection that becomes a socket is cut when it is not
// read.
type client struct{ http.ResponseWriter }

// Unwrap is for [http.ResponseController].
func (c client) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Hijack implements [http.Hijacker].
func (c client) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return patientConn{conn}, buffered, nil
}

// patientConn bounds how long a write may take.
type patientConn struct{ net.Conn }

// Write implements [net.Conn].
func (c patientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(readingTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
