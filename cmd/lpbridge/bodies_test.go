package main

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge/console"
)

// TestUnfinishedBodiesAreBounded: strangers who send much to the doors that want a
// signature, and stop in the middle, take no memory to speak of, and who has something to
// say is heard meanwhile.
func TestUnfinishedBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(s.everyChannel())
	address := strings.TrimPrefix(p.public, "http://")
	for path, megabytes := range map[string]int{"/webhooks/liveperson": 7, "/channels/chatwoot": 3, "/channels/webhook": 0, "/channels/livechatai": 0} {
		size := megabytes<<20 + 900<<10
		body := strings.Repeat("x", size)
		for range 30 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, size+1, body)
			}()
		}
	}
	for _, channel := range []string{"liveperson", "chatwoot"} {
		await(t, "that some are refused at the door of "+channel, func() bool {
			return slices.ContainsFunc(p.status(t).Refusals, func(r console.Refusal) bool { return r.Channel == channel && r.Reason == "unavailable" })
		})
	}
	small := message("a", "a1", "hello")
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, small), small); a.status != http.StatusOK {
		t.Errorf("a small request is answered %d: %s", a.status, a.body)
	}
	s.notify(p, `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[]}}`)
	p.terminate()
}

// TestWhoSendsTooMuchReadsTheAnswer sends far more than a door takes, as fast as it
// can: the answer says so, and is not lost with the connection.
func TestWhoSendsTooMuchReadsTheAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(s.everyChannel())
	body := strings.Repeat("x", 24<<20)
	for range 20 {
		if a := do(t, http.MethodPost, p.public+"/channels/webhook", plainJSON, body); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("answered %d", a.status)
		}
	}
	p.terminate()
}
