package main

import (
	"errors"
	"io"
	"net"
	"sync"
)

// direction is the way of bytes between who asks and who answers.
type direction int

const (
	questions direction = iota
	answers
	directions
)

// wire lies between one replica and PostgreSQL, or between the other replicas and one. It can stall, as a network does that
// loses packets: nobody hears that the other is gone, and what was sent arrives when it is
// mended, however late. And it can be cut, as by a firewall that resets.
type wire struct {
	listener net.Listener
	target   string
	serving  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	links map[*link]bool
	// flows are closed channels where bytes flow.
	flows [directions]chan struct{}
}

// link is one connection.
type link struct {
	near, far *net.TCPConn
	gone      chan struct{}
	once      sync.Once
}

func newWire(target string) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: l, target: target, links: map[*link]bool{}}
	for d := range w.flows {
		w.flows[d] = make(chan struct{})
		close(w.flows[d])
	}
	w.serving.Go(w.serve)
	return w, nil
}

func (w *wire) port() int { return w.listener.Addr().(*net.TCPAddr).Port }

func (w *wire) close() {
	w.listener.Close()
	w.sever()
	w.serving.Wait()
}

func (w *wire) serve() {
	for {
		near, err := w.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			w.serving.Go(func() { w.join(near.(*net.TCPConn)) })
		}
	}
}

// join connects who asks with who answers until one of them hangs up.
func (w *wire) join(near *net.TCPConn) {
	far, err := net.Dial("tcp", w.target)
	if err != nil {
		reset(near)
		return
	}
	l := &link{near: near, far: far.(*net.TCPConn), gone: make(chan struct{})}
	w.mu.Lock()
	cut := w.cut
	w.links[l] = true
	w.mu.Unlock()
	if cut {
		l.reset()
	}
	var copying sync.WaitGroup
	copying.Go(func() { w.copy(l, l.far, l.near, questions) })
	copying.Go(func() { w.copy(l, l.near, l.far, answers) })
	copying.Wait()
	l.reset()
	w.mu.Lock()
	delete(w.links, l)
	w.mu.Unlock()
}

// copy passes bytes on one way, and that there are no more.
func (w *wire) copy(l *link, to, from *net.TCPConn, d direction) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !w.passes(l, d) {
			return
		}
		if n > 0 {
			if _, failed := to.Write(buf[:n]); failed != nil {
				l.reset()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			l.reset()
			return
		}
	}
}

// passes waits until bytes flow, and reports whether the link is there then.
func (w *wire) passes(l *link, d direction) bool {
	w.mu.Lock()
	flow := w.flows[d]
	w.mu.Unlock()
	select {
	case <-flow:
		return true
	case <-l.gone:
		return false
	}
}

// stall has nothing arrive any more in the given directions.
func (w *wire) stall(stalled ...direction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range stalled {
		select {
		case <-w.flows[d]:
			w.flows[d] = make(chan struct{})
		default:
		}
	}
}

// sever resets all connections and each new one.
func (w *wire) sever() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for l := range w.links {
		l.reset()
	}
}

// mend has all flow again.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	for _, flow := range w.flows {
		select {
		case <-flow:
		default:
			close(flow)
		}
	}
}

func (l *link) reset() {
	l.once.Do(func() {
		close(l.gone)
		reset(l.near)
		reset(l.far)
	})
}

// reset hangs up so that the other side gets a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
