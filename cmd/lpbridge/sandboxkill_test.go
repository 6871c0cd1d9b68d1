package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lpbridge/cmd/lpbridge/front"
)

// ledger is what the sandbox's page counts.
func (b *sandbox) ledger(t *testing.T) (l front.Ledger) {
	t.Helper()
	if err := json.Unmarshal([]byte(get(t, b.public+"/sandbox/ledger").body), &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSandboxComesBack kills the sandbox's bridge while a consumer types and LivePerson
// is down, and sees that everything arrives once and that no typing is left.
func TestSandboxComesBack(t *testing.T) {
	t.Parallel()
	b := newSandbox(t, nil)
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })
	b.report(t, plainJSON, typing("a", "composing"))
	await(t, "typing", func() bool { return b.agentSees(t).AgentSees.ConsumerTyping })
	if a := do(t, http.MethodPut, b.public+"/sandbox/faults", plainJSON, `{"outage":true}`); a.status != http.StatusOK {
		t.Fatalf("the switch answered %d: %s", a.status, a.body)
	}
	b.report(t, plainJSON, message("a", "a2", "are you there?"))
	if a := do(t, http.MethodPost, b.public+"/sandbox/kill", nil, ""); a.status != http.StatusAccepted {
		t.Fatalf("killing was answered %d: %s", a.status, a.body)
	}
	await(t, "the bridge's absence", func() bool {
		return do(t, http.MethodPost, b.public+"/channels/webhook", plainJSON, `[]`).status == http.StatusServiceUnavailable
	})
	do(t, http.MethodPut, b.public+"/sandbox/faults", plainJSON, `{}`)
	await(t, "the bridge", func() bool {
		a, err := try(http.MethodGet, b.admin+"/readyz", nil, "")
		return err == nil && a.status == http.StatusOK
	})
	await(t, "what was accepted, and the end of typing", func() bool {
		c := b.agentSees(t)
		return c.LastText == "are you there?" && !c.AgentSees.ConsumerTyping
	})
	b.report(t, plainJSON, message("a", "a3", "still here"))
	await(t, "the next message", func() bool { return b.agentSees(t).LastText == "still here" })
	await(t, "the ledger", func() bool { return b.ledger(t).ToLivePerson == front.Counts{Sent: 3, Once: 3} })
	if l := b.ledger(t); l.TypingLeft != 0 {
		t.Errorf("typing left: %+v", l)
	}
	b.terminate()
}

// TestSandboxAnswersTheConsumer: on the webhook channel an agent's answer goes
// somewhere, with nothing configured.
func TestSandboxAnswersTheConsumer(t *testing.T) {
	t.Parallel()
	b := newSandbox(t, nil)
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })
	do(t, http.MethodPost, b.simulator+"/sim/conversations/latest/agent/messages", plainJSON, `{"text":"good day","quickReplies":["Yes","No"]}`)
	await(t, "the answer", func() bool { return strings.Contains(get(t, b.public+"/sandbox/threads/a").body, `"good day"`) })
	await(t, "the ledger", func() bool { return b.ledger(t).ToChannel == front.Counts{Sent: 1, Once: 1} })
	b.terminate()
}

// TestSandboxWithoutTemporaryFiles: an image has no /tmp.
func TestSandboxWithoutTemporaryFiles(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	b := newSandbox(t, map[string]string{"TMPDIR": filepath.Join(volume, "none"), "LPBRIDGE_STORE": "sqlite:" + filepath.Join(volume, "lpbridge.db")})
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })
	b.terminate()
	if left, err := os.ReadDir(volume); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

// TestSandboxIsClosed: neither traces nor proxies nor a consumer's files lead out of
// the sandbox.
func TestSandboxIsClosed(t *testing.T) {
	t.Parallel()
	outside := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s left the sandbox", r.Method, r.URL) }))
	t.Cleanup(outside.Close)
	b := newSandbox(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": outside.URL, "OTEL_TRACES_EXPORTER": "otlp", "HTTP_PROXY": outside.URL, "https_proxy": outside.URL,
		"LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS": "true",
	})
	b.report(t, plainJSON, `{"id":"a1","type":"message","thread":"a","consumer":{"id":"u"},"message":{"text":"look","attachments":[{"url":"`+outside.URL+`/a.png","contentType":"image/png","name":"a.png"}]}}`)
	await(t, "the file as a link", func() bool { return strings.Contains(b.agentSees(t).LastText, outside.URL) })
	b.terminate()
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "HTTP_PROXY"} {
		if !strings.Contains(b.stderr.String(), variable+" is not used") {
			t.Errorf("nothing is said of %s", variable)
		}
	}
}

// TestPlayable: the page is a consumer only where it is let in.
func TestPlayable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		settings map[string]string
		want     string
	}{
		{"all", nil, `"channels":["webhook","chatwootapi","layer"]`},
		{"one's own secret", map[string]string{"WEBHOOK_SECRET": channelSecret}, `"channels":["chatwootapi","layer"]`},
		{"two channels", map[string]string{"LPBRIDGE_CHANNELS": "webhook,layer"}, `"channels":["webhook","layer"]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newSandbox(t, tc.settings)
			hello := firstEvent(t, b.public+"/sandbox/events")
			if !strings.Contains(hello, tc.want) {
				t.Errorf("the page is told %.200s, want %s", hello, tc.want)
			}
			b.terminate()
		})
	}
}

// firstEvent is the data of the first server-sent event at an address.
func firstEvent(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
			return data
		}
	}
	t.Fatal("the stream ended before its first event")
	return ""
}
