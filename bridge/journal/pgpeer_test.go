package journal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// awaitPeer waits until a process that waits was told of a peer.
func (r *reasons) awaitPeer(t *testing.T, want bridge.Peer) journal.Wait {
	t.Helper()
	for end := time.After(time.Minute); ; {
		r.mu.Lock()
		last := r.last
		r.mu.Unlock()
		if last.Peer == want {
			return last
		}
		select {
		case <-r.come:
		case <-end:
			t.Fatalf("it was told of %v, want %v", last, want)
		}
	}
}

// TestPeerIsTold: a process that waits knows where the owner is reached as long as that is
// the owner, and does so again after the owner's connection broke.
func TestPeerIsTold(t *testing.T) {
	t.Parallel()
	opts := on(pgcluster.Schema(t))
	first := open(t, opts)
	second := openLater(t, opts)
	second.reasons.await(t, "standby")
	second.reasons.awaitPeer(t, bridge.Peer{})
	for _, p := range []bridge.Peer{{Address: "192.0.2.1:4711", Certificate: "ab", Token: "of the first"}, {}, {Address: "[2001:db8::1]:1", Certificate: "cd", Token: "of the first"}} {
		first.Announce(p)
		w := second.reasons.awaitPeer(t, p)
		if w.Owner.Name != first.Owner().Name || w.Owner.Epoch != 1 || w.Away || time.Since(w.Owner.Since) > time.Hour {
			t.Errorf("told of the owner %+v, away %t", w.Owner, w.Away)
		}
	}
	if at := first.LocalAddress(); !at.IsLoopback() {
		t.Errorf("it reaches the database from %s", at)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	j := second.journal(t)
	defer j.Close()
	third := openLater(t, opts)
	third.reasons.await(t, "epoch 2")
	// What the former owner said counts no more.
	third.reasons.awaitPeer(t, bridge.Peer{})
	j.Announce(bridge.Peer{Address: "192.0.2.2:1", Certificate: "ef", Token: "of the second"})
	third.reasons.awaitPeer(t, bridge.Peer{Address: "192.0.2.2:1", Certificate: "ef", Token: "of the second"})
}

// TestAbstains: a process that is about to stop does not become the owner.
func TestAbstains(t *testing.T) {
	t.Parallel()
	opts := on(pgcluster.Schema(t))
	opts.Abstain = func() bool { return true }
	o := openLater(t, opts)
	o.reasons.await(t, "nobody owns the journal, and this process is about to stop")
	o.cancel()
	<-o.done
	if o.err == nil {
		t.Error("it became the owner")
	}
}

// TestLayoutWithoutPeers: an owner of the release before says nowhere where it is reached;
// who waits for it says so, and has the table once it is the owner.
func TestLayoutWithoutPeers(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	address := pgcluster.Schema(t)
	schema := address[strings.LastIndex(address, "=")+1:]
	first := open(t, on(address))
	if _, err := c.Run("postgres", "SET search_path = "+schema+"; DROP TABLE peer; UPDATE layout SET version = 1"); err != nil {
		t.Fatal(err)
	}
	second := openLater(t, on(address))
	second.reasons.await(t, "standby: "+first.Owner().Name+" owns the journal")
	second.reasons.awaitPeer(t, bridge.Peer{})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	j := second.journal(t)
	defer j.Close()
	j.Announce(bridge.Peer{Address: "192.0.2.2:1"})
	third := openLater(t, on(address))
	third.reasons.awaitPeer(t, bridge.Peer{Address: "192.0.2.2:1"})
}

// TestBrokenConnectionIsMadeAnew: an owner that had nothing to write while PostgreSQL was
// restarted writes what comes then, at the first try.
func TestBrokenConnectionIsMadeAnew(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	j := open(t, on(c.URL("postgres", "postgres")))
	defer j.Close()
	if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){c.Kill, c.Stop} {
		end()
		if err := c.Restart(); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(t.Context(), batch(bridge.EventID(fmt.Sprint("after-", i)))); err != nil {
			t.Errorf("what came after a restart was refused: %v", err)
		}
	}
}
