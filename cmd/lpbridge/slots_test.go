package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// opens begins a request and leaves it at that: a body that never comes, or a socket that
// is not read.
func (x *everyChannel) opens(request string, headers ...string) net.Conn {
	x.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(x.p.public, "http://"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	head := request + " HTTP/1.1\r\nHost: h\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := fmt.Fprint(conn, head+"\r\n"); err != nil {
		x.t.Fatal(err)
	}
	return conn
}

// upgrade are the headers that ask for a socket.
var upgrade = []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}

// TestOneConsumerLeavesSlotsToOthers: where a channel may have few requests at once, one
// consumer who begins many and opens many sockets leaves some to others.
func TestOneConsumerLeavesSlotsToOthers(t *testing.T) {
	t.Parallel()
	// Of 40 connections a channel's requests may have 20, of which a quarter is one's own.
	x := servedChannels(t, map[string]string{"LPBRIDGE_MAX_CONNECTIONS": "40"})
	for channel, pair := range map[string][2]*talker{
		"chatwootapi": {x.chatwootContact("noisy"), x.chatwootContact("quiet")}, "layer": {x.layerUser("noisy"), x.layerUser("quiet")},
	} {
		t.Run(channel, func(t *testing.T) {
			noisy := pair[0]
			answers := map[int]int{}
			for range 18 {
				// Who waits for the body says so.
				conn := x.opens("POST "+noisy.messages, append([]string{"Content-Type", "application/json", "Content-Length", "1000", "Expect", "100-continue"}, noisy.header...)...)
				var version string
				var status int
				if _, err := fmt.Fscan(conn, &version, &status); err != nil {
					t.Fatal(err)
				}
				answers[status]++
			}
			if answers[http.StatusContinue] != 5 || answers[http.StatusTooManyRequests] != 13 {
				t.Errorf("answered %v", answers)
			}
			if a := pair[1].says("hello"); a.status/100 != 2 {
				t.Errorf("somebody else is answered %d: %s", a.status, a.body)
			}
		})
	}
	x.p.kill()
}

// TestSocketsOfOneConsumerLeaveSlotsToOthers is the same with sockets, which are counted
// when they are closed for others.
func TestSocketsOfOneConsumerLeaveSlotsToOthers(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, map[string]string{"LPBRIDGE_MAX_CONNECTIONS": "40"})
	noisy, quiet := x.layerUser("noisy"), x.layerUser("quiet")
	session := noisy.header[1]
	m := watched(t, x.p)
	for range 30 {
		x.opens("GET /layer/", append([]string{"Authorization", session, "Sec-WebSocket-Protocol", "layer-3.0"}, upgrade...)...)
	}
	await(t, "that the oldest are closed", func() bool {
		return m.value("lpbridge_channel_connections_closed_total", "channel", "layer", "reason", "too_many") > 0
	})
	await(t, "a word to somebody else", func() bool { return quiet.says("hello").status/100 == 2 })
	if line := x.p.awaitLine("connections of consumers are closed to leave room for others"); line["level"] != "WARN" || line["channel"] != "layer" || line["reason"] != "too_many" {
		t.Errorf("logged %v", line)
	}
	x.p.kill()
}
