package config

import (
	"strings"
	"testing"
	"time"
)

// TestReplicaSettings: what is wrong with how replicas reach each other is named.
func TestReplicaSettings(t *testing.T) {
	good := Replica{PeerListen: ":0", HoldFor: 12 * time.Second}
	for _, of := range []struct {
		name   string
		change func(*Replica)
		want   string
	}{
		{"as it is", func(*Replica) {}, ""},
		{"a name", func(r *Replica) { r.PeerAddress = "bridge-1.internal" }, ""},
		{"an address of IPv6", func(r *Replica) { r.PeerAddress = "2001:db8::1" }, ""},
		{"an address and a port", func(r *Replica) { r.PeerAddress = "[2001:db8::1]:8443" }, ""},
		{"no port of the listener", func(r *Replica) { r.PeerListen = "127.0.0.1" }, "PEER_LISTEN: is \"127.0.0.1\": must be host:port"},
		{"a port that is none", func(r *Replica) { r.PeerAddress = "bridge-1:http" }, "PEER_ADDRESS: is \"bridge-1:http\": must name a host"},
		{"a port alone", func(r *Replica) { r.PeerAddress = ":8443" }, "PEER_ADDRESS: is \":8443\": must name a host"},
		{"a web address", func(r *Replica) { r.PeerAddress = "https://bridge-1:8443" }, "must be a host, or host:port"},
		{"held for longer than a request may take", func(r *Replica) { r.HoldFor = time.Minute }, "HOLD_FOR: must be 25s at most"},
	} {
		t.Run(of.name, func(t *testing.T) {
			r := good
			of.change(&r)
			err := r.Validate()
			if of.want == "" && err != nil || of.want != "" && (err == nil || !strings.Contains(err.Error(), of.want)) {
				t.Errorf("error %v, want %q", err, of.want)
			}
		})
	}
}

// TestAdvertised: what others are told of a peer listener is what was set, and else what
// was found, with the port that it has.
func TestAdvertised(t *testing.T) {
	for set, want := range map[string]string{
		"": "192.0.2.1:4711", "bridge-1": "bridge-1:4711", "bridge-1:8443": "bridge-1:8443", "2001:db8::1": "[2001:db8::1]:4711", "[2001:db8::1]": "[2001:db8::1]:4711",
	} {
		if got := (Replica{PeerAddress: set}).Advertised(4711, "192.0.2.1"); got != want {
			t.Errorf("with %q %s is told, want %s", set, got, want)
		}
	}
}
