package main

import (
	"bufio"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// sniffTime is how long a connection may take to say whether it speaks TLS.
const sniffTime = 5 * time.Second

// tlsRecord is the first byte of every TLS connection; no method of HTTP begins with it.
const tlsRecord = 0x16

// eitherListener takes TLS and plain HTTP on one port: some connectors look their domains up in plain and build https
// addresses of what they are told.
type eitherListener struct {
	net.Listener
	config *tls.Config
	sorted chan arrival
	closed chan struct{}
	once   sync.Once
}

type arrival struct {
	conn net.Conn
	err  error
}

func listenEither(l net.Listener, config *tls.Config) *eitherListener {
	e := &eitherListener{Listener: l, config: config, sorted: make(chan arrival), closed: make(chan struct{})}
	go e.accept()
	return e
}

// accept hands on what arrives until the listener is closed. Who does not take an error, as a server that pauses after one,
// holds it up.
func (e *eitherListener) accept() {
	for {
		conn, err := e.Listener.Accept()
		if err == nil {
			go e.sort(conn)
			continue
		}
		if !e.hand(arrival{err: err}) {
			return
		}
	}
}

func (e *eitherListener) hand(a arrival) bool {
	select {
	case e.sorted <- a:
		return true
	case <-e.closed:
		return false
	}
}

// sort looks at the first byte and leaves it where it is.
func (e *eitherListener) sort(conn net.Conn) {
	peeked := &peekedConn{conn, bufio.NewReader(conn)}
	_ = conn.SetReadDeadline(time.Now().Add(sniffTime))
	first, err := peeked.reader.Peek(1)
	if err != nil || conn.SetReadDeadline(time.Time{}) != nil {
		_ = conn.Close()
		return
	}
	var known net.Conn = peeked
	if first[0] == tlsRecord {
		known = tls.Server(peeked, e.config)
	}
	if !e.hand(arrival{conn: known}) {
		_ = conn.Close()
	}
}

// Accept gives the next connection that has begun to speak.
func (e *eitherListener) Accept() (net.Conn, error) {
	select {
	case a := <-e.sorted:
		return a.conn, a.err
	case <-e.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and closes the port.
func (e *eitherListener) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Listener.Close()
}

// peekedConn is a connection of which a byte was looked at.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peekedConn) Read(data []byte) (int, error) { return p.reader.Read(data) }
