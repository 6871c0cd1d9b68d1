//go:build e2e

// Package layer runs Layer's published SDKs, unchanged and headless, against the
// layer channel. It needs Node 20 and, once, the packages of package.json
// (npm install in this folder). Run it with
//
//	go test -tags e2e ./e2e/layer/
//
// The agent's side is played by the scripts through a small HTTP interface of
// this test, with a core that records what the channel accepts.
package layer_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/layer"
)

const (
	origin = "http://consumer.example"
	app    = "layer:///apps/staging/00000000-0000-4000-8000-000000000001"
	// budget is far more than a run takes; it ends one that hangs.
	budget = 3 * time.Minute
)

func TestSDKs(t *testing.T) {
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the SDKs are not installed: run npm install in e2e/layer")
	}
	for _, tc := range []struct {
		script string
		tls    bool
	}{
		{"websdk.js", false},
		{"websdk.js", true},
		// web-xdk takes an address for absolute only if it begins with https.
		{"web-xdk.js", true},
	} {
		name := tc.script + " over http"
		if tc.tls {
			name += "s"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tc.tls)
			run(t, tc.script, s)
		})
	}
}

// side is both sides of a run.
type side struct {
	base, agent, ca string
}

// serve starts the channel and the agent's side.
func serve(t *testing.T, secure bool) side {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	var s side
	if secure {
		server.TLS, s.ca = certificate(t)
		s.base = "https://" + server.Listener.Addr().String()
	} else {
		s.base = "http://" + server.Listener.Addr().String()
	}
	public, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	core := bridgetest.NewCore()
	channel, err := layer.New(layer.Config{
		AppIDs: []string{app}, Origins: []string{origin}, PublicURL: public, SessionTTL: time.Hour, AgentID: "agent", AgentName: "Agent",
		StateKey: "state", MaxContent: 3 << 20, SandboxIdentities: true,
	}, core, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range channel.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	server.Config.Handler = mux
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	agent := httptest.NewServer(agentSide(channel, core))
	t.Cleanup(func() {
		agent.Close()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		if err := channel.Close(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
	})
	s.base, s.agent = s.base+"/layer", agent.URL
	return s
}

// act is what a script asks the agent to do.
type act struct {
	Thread bridge.ThreadID      `json:"thread"`
	Agent  string               `json:"agent"`
	ID     bridge.EventID       `json:"id"`
	Text   string               `json:"text"`
	State  string               `json:"state"`
	Status bridge.ReceiptStatus `json:"status"`
}

// agentSide lets a script be the agent.
func agentSide(channel *layer.Layer, core *bridgetest.Core) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		events := core.Events()
		if events == nil {
			events = []bridge.Event{}
		}
		_ = json.NewEncoder(w).Encode(events)
	})
	handle := func(path string, do func(ctx context.Context, a act) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var a act
			err := json.NewDecoder(r.Body).Decode(&a)
			if err == nil {
				err = do(r.Context(), a)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	handle("/typing", func(ctx context.Context, a act) error {
		return channel.ShowTyping(ctx, bridge.TypingCue{Thread: a.Thread, Agent: bridge.Agent{ID: a.Agent}, State: bridge.TypingState(a.State)})
	})
	handle("/message", func(ctx context.Context, a act) error {
		return channel.Deliver(ctx, &bridge.Event{
			ID: a.ID, Kind: bridge.KindMessage, Thread: a.Thread, Agent: &bridge.Agent{ID: a.Agent}, Message: &bridge.Message{Text: a.Text},
		})
	})
	handle("/state", func(ctx context.Context, a act) error {
		return channel.Deliver(ctx, &bridge.Event{
			ID: "state", Kind: bridge.KindState, Thread: a.Thread, State: &bridge.State{Conversation: bridge.ConversationState(a.State)},
		})
	})
	handle("/receipt", func(ctx context.Context, a act) error {
		receipt := &bridge.Receipt{Status: a.Status}
		for _, e := range core.Events() {
			if e.Kind == bridge.KindMessage && e.Thread == a.Thread {
				receipt.MessageIDs = append(receipt.MessageIDs, e.ID)
			}
		}
		return channel.Deliver(ctx, &bridge.Event{ID: "receipt", Kind: bridge.KindReceipt, Thread: a.Thread, Receipt: receipt})
	})
	return mux
}

// run runs a script and logs what it says.
func run(t *testing.T, script string, s side) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), budget)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script)
	cmd.Env = append(os.Environ(),
		"BASE_URL="+s.base, "AGENT_URL="+s.agent, "IDENTITY_URL="+s.base+"/sandbox/identity_token",
		"APP_ID="+app, "ORIGIN="+origin, "NODE_EXTRA_CA_CERTS="+s.ca,
	)
	out, err := cmd.CombinedOutput()
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		t.Log(lines.Text())
	}
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

// certificate makes a certificate for loopback, and a file with it.
func certificate(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lpbridge test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}
