//go:build unix

package main

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestRunbookNoOwner(t *testing.T) {
	t.Parallel()
	s, c := newReplicas(t)
	p := s.run(nil)
	m := watched(t, p)
	m.quiet("LpbridgeNoOwner")
	s.post(p, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	s.awaitSettled(p)
	c.Kill()
	m.fires("LpbridgeNoOwner")
	standby := s.standBy(nil)
	if status := get(t, standby.admin+"/status").body; !strings.Contains(status, `"reason":"connect: failed to connect`) {
		t.Errorf("the status of a replica does not say what it waits for: %s", status)
	}
	if a := get(t, standby.admin+"/readyz"); a.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz of a replica without an owner answered %d", a.status)
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	standby.awaitReady()
	s.post(standby, message("t-1", "m-2", "two"))
	s.awaitTexts("t-1", "one", "two")
	standby.kill()
	p.kill()
}

func TestRunbookOwnerUnreachable(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	// Nobody is there where it says it is.
	owner := s.run(map[string]string{"LPBRIDGE_PEER_ADDRESS": "127.0.0.1:1"})
	standby := s.standBy(nil)
	m := watched(t, standby)
	m.fires("LpbridgeOwnerUnreachable")
	await(t, "the standby to be unready", func() bool { return get(t, standby.admin+"/readyz").status == http.StatusServiceUnavailable })
	for _, want := range []string{`"peer":"127.0.0.1:1"`, "connection refused", `"role":"standby"`, `"epoch":1`} {
		await(t, "the status with "+want, func() bool { return strings.Contains(get(t, standby.admin+"/status").body, want) })
	}
	if m.value("lpbridge_journal_owned_since_timestamp_seconds") == 0 || m.value("lpbridge_journal_epoch") != 1 {
		t.Error("the standby does not know the owner")
	}
	// Its port is not the default one, so that the host alone is what one sets.
	standby.terminate()
	owner.terminate()
	owner = s.run(map[string]string{"LPBRIDGE_PEER_ADDRESS": "localhost"})
	standby = s.standBy(nil)
	m.follow(standby)
	standby.awaitReady()
	m.ends("LpbridgeOwnerUnreachable")
	s.lead(owner)
	s.post(standby, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	if status := get(t, owner.admin+"/status").body; !strings.Contains(status, `"role":"owner"`) || !strings.Contains(status, `"peer":"localhost:`) {
		t.Errorf("the owner's status: %s", status)
	}
	standby.terminate()
	owner.terminate()
}

// TestReachableAt: others are told the host that a peer listener has, or the one PostgreSQL
// sees, and never the loopback where there is anything else.
func TestReachableAt(t *testing.T) {
	remote, here := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("127.0.0.1")
	for _, of := range []struct{ listening, database, want netip.Addr }{
		{netip.MustParseAddr("10.1.2.3"), remote, netip.MustParseAddr("10.1.2.3")},
		{here, remote, here},
		{netip.IPv6Unspecified(), remote, remote},
		{netip.IPv4Unspecified(), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::7")},
		{netip.MustParseAddr("::ffff:10.1.2.3"), here, netip.MustParseAddr("10.1.2.3")},
	} {
		if got := reachableAt(of.listening, of.database); got != of.want {
			t.Errorf("listening at %s, seen from %s: %s is told, want %s", of.listening, of.database, got, of.want)
		}
	}
	for _, database := range []netip.Addr{here, netip.IPv6Loopback(), {}} {
		if got := reachableAt(netip.IPv6Unspecified(), database); !got.IsGlobalUnicast() && got != here {
			t.Errorf("with PostgreSQL on this machine %s is told", got)
		}
	}
}
