package peers

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

const (
	// maxKeptEach is the longest body that is kept so that it can be sent again, and
	// maxKept what all of them take. What is more, or longer, goes through as it comes.
	maxKeptEach = 256 << 10
	maxKept     = 32 << 20
	// copyBuffer is what one answer passes through.
	copyBuffer = 32 << 10
)

// bodies keeps those of requests that are under way, within a bound.
type bodies struct {
	most  int64
	taken atomic.Int64
}

func (b *bodies) take(n int64) bool {
	if b.taken.Add(n) > b.most {
		b.taken.Add(-n)
		return false
	}
	return true
}

// body is that of one request.
type body struct {
	of    *bodies
	taken int64
	// whole says that kept is all of it; otherwise stream has what follows it.
	whole  bool
	kept   []byte
	stream *stream
}

// keep reads a body that is short enough to be kept. Its error is that the client did not
// send what it announced.
func (b *bodies) keep(r *http.Request) (*body, error) {
	made := &body{of: b, whole: true}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return made, nil
	}
	room := r.ContentLength
	if room < 0 {
		room = maxKeptEach
	}
	if room > maxKeptEach || !b.take(room) {
		made.whole, made.stream = false, &stream{body: r.Body}
		return made, nil
	}
	made.taken = room
	var err error
	if made.kept, err = io.ReadAll(io.LimitReader(r.Body, room)); err != nil {
		made.release()
		return nil, err
	}
	if r.ContentLength > 0 || int64(len(made.kept)) < room {
		made.give(room - int64(len(made.kept)))
		return made, nil
	}
	// A body of unknown length goes on.
	made.whole, made.stream = false, &stream{body: io.MultiReader(bytes.NewReader(made.kept), r.Body)}
	return made, nil
}

func (b *body) give(n int64) {
	b.taken -= n
	b.of.taken.Add(-n)
}

// release gives back what is kept.
func (b *body) release() { b.give(b.taken) }

// rewind gives a request the body from its beginning, if it is kept.
func (b *body) rewind(r *http.Request) {
	switch {
	case !b.whole:
		r.Body = b.stream
	case len(b.kept) > 0:
		r.ContentLength, r.TransferEncoding = int64(len(b.kept)), nil
		r.Body = io.NopCloser(bytes.NewReader(b.kept))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.kept)), nil }
	default:
		r.ContentLength, r.TransferEncoding, r.Body = 0, nil, http.NoBody
	}
}

// unsent reports whether the body can still be sent from its beginning.
func (b *body) unsent() bool { return b.whole || !b.stream.begun.Load() }

// broken reports whether the client did not send all of it.
func (b *body) broken() bool { return !b.whole && b.stream.broken() }

// stream is a body that goes through as it comes.
type stream struct {
	body  io.Reader
	begun atomic.Bool

	mu  sync.Mutex
	err error
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	s.begun.Store(true)
	n, err := s.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

// Close implements [io.Closer]: the server closes what it made.
func (s *stream) Close() error { return nil }

func (s *stream) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// buffers are what answers pass through.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return new([copyBuffer]byte) }}}
}

// Get implements [httputil.BufferPool].
func (b *buffers) Get() []byte { return b.pool.Get().(*[copyBuffer]byte)[:] }

// Put implements [httputil.BufferPool].
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[copyBuffer]byte)(buffer)) }
