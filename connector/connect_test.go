package connector_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector"
	"lpbridge/connector/lpsim"
)

// heard carries requests to a simulator, or nowhere, and notes who they say they
// are of.
type heard struct {
	sim *lpsim.Sim

	mu     sync.Mutex
	agents map[string]bool
	hangs  string
}

func (h *heard) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.agents[r.UserAgent()] = true
	hangs := h.hangs != "" && strings.Contains(r.URL.Path, h.hangs)
	h.mu.Unlock()
	if hangs {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.sim.Transport().RoundTrip(r)
}

// TestConnectHeedsItsOptions sets what a program of its own may set.
func TestConnectHeedsItsOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &heard{sim: lpsim.New(lpsim.Config{Now: time.Now, Faults: lpsim.Faults{ConsumerFileTypes: "documents"}}), agents: map[string]bool{}}
		defer far.sim.Close()
		var logged bytes.Buffer
		secret := "an old one"
		c, err := connector.Connect(connector.ConnectOptions{
			AccountID: "sandbox", ClientID: "sandbox-client",
			Secrets:   func() ([]string, error) { return []string{secret}, nil },
			DomainURL: "http://liveperson.test", AllowPlainHTTP: true, Transport: far,
			Features: []string{connector.FeatureFileSharing}, Documents: true, Timeout: 3 * time.Second,
			UserAgent: "of-a-test/1", Logger: slog.New(slog.NewTextHandler(&logged, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		secret = "sandbox-secret"
		time.Sleep(2 * time.Second)
		id, err := c.Conversation(t.Context(), "ana", connector.ConversationRequest{})
		if err != nil {
			t.Fatalf("a secret that was replaced, over plain http: %v", err)
		}
		if !strings.Contains(logged.String(), "client secret replaced") {
			t.Errorf("logged %q", logged.String())
		}
		if _, err := c.Upload(t.Context(), "ana", "PDF", []byte("%PDF-1.7")); err != nil {
			t.Errorf("a document: %v", err)
		}
		far.mu.Lock()
		far.hangs = "/conversation/send"
		if len(far.agents) != 1 || !far.agents["of-a-test/1"] {
			t.Errorf("requests were of %v", far.agents)
		}
		far.mu.Unlock()
		began := time.Now()
		_, err = c.Send(t.Context(), "ana", connector.Target{ConversationID: id}, connector.ContentEvent{Message: "hello"})
		if took := time.Since(began); took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) && connector.OutcomeOf(err) != connector.Unknown {
			t.Errorf("a call without an answer ended after %v: %v", took, err)
		}
	})
}
