package main

import (
	"bufio"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"lpbridge/connector/lpsim"
)

// sandbox is `lpbridge sandbox` and where its parts are.
type sandbox struct {
	*process
	simulator string
}

var guideURLs = regexp.MustCompile(`(?m)^  (?:what the agent sees|console, metrics) +(http://\S+)/$|curl -sS (http://[^/]+)/channels/webhook`)

// newSandbox starts one on free ports, with nothing configured but them and the
// changes.
func newSandbox(t *testing.T, changes map[string]string) *sandbox {
	t.Helper()
	settings := map[string]string{
		"LPBRIDGE_LISTEN": "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0", "LPSIM_LISTEN": "127.0.0.1:0",
		// An exported but empty variable must not hide what the sandbox sets.
		"LP_ACCOUNT_ID": "",
	}
	maps.Copy(settings, changes)
	b := &sandbox{process: launch(t, settings, "sandbox")}
	await(t, "the sandbox's guide", func() bool {
		if b.over() {
			t.Fatal("the sandbox ended at once")
		}
		return strings.Contains(b.stdout.String(), "Ctrl-C ends it.")
	})
	found := guideURLs.FindAllStringSubmatch(b.stdout.String(), -1)
	if len(found) < 3 {
		t.Fatal("the guide does not say where everything is")
	}
	b.simulator, b.admin, b.public = found[0][1], found[1][1], found[2][2]
	return b
}

// agentSees is what the newest conversation looks like to the agent.
func (b *sandbox) agentSees(t *testing.T) (c lpsim.Conversation) {
	t.Helper()
	a := get(t, b.simulator+"/sim/conversations/latest")
	if a.status == http.StatusNotFound {
		return c
	}
	if err := json.Unmarshal([]byte(a.body), &c); err != nil {
		t.Fatalf("the simulator answered %d: %v", a.status, err)
	}
	return c
}

// report tells the sandbox what the consumer does, in the way of its guide.
func (b *sandbox) report(t *testing.T, header http.Header, body string) {
	t.Helper()
	if a := do(t, http.MethodPost, b.public+"/channels/webhook", header, body); a.status != http.StatusOK {
		t.Fatalf("the bridge answered %d: %s", a.status, a.body)
	}
}

var plainJSON = http.Header{"Content-Type": {"application/json"}}

// TestSandbox is a newcomer's first minute.
func TestSandbox(t *testing.T) {
	t.Parallel()
	temporary := t.TempDir()
	b := newSandbox(t, map[string]string{"TMPDIR": temporary, "WEBHOOK_TYPING_HOLD": "3s"})
	if a := get(t, b.admin+"/readyz"); a.status != http.StatusOK {
		t.Errorf("/readyz answered %d: %s", a.status, a.body)
	}
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })

	// Typing that is not repeated ends by itself.
	b.report(t, plainJSON, typing("a", "composing"))
	await(t, "typing", func() bool { return b.agentSees(t).AgentSees.ConsumerTyping })
	await(t, "the end of typing", func() bool { return !b.agentSees(t).AgentSees.ConsumerTyping })

	// A message ends it too. The simulator keeps every state it was told.
	b.report(t, plainJSON, typing("a", "composing"))
	await(t, "typing again", func() bool { return b.agentSees(t).AgentSees.ConsumerTyping })
	b.report(t, plainJSON, message("a", "a2", "are you there?"))
	await(t, "the end of typing", func() bool {
		c := b.agentSees(t)
		return c.LastText == "are you there?" && !c.AgentSees.ConsumerTyping
	})
	for _, metric := range []string{
		`lpbridge_events_accepted_total{channel="webhook",direction="to_liveperson",kind="message"} 2`,
		"lpbridge_typing_total{", "lpbridge_deliveries_total{", "go_goroutines ", "process_open_fds ", "lpbridge_build_info{",
	} {
		if a := get(t, b.admin+"/metrics"); !strings.Contains(a.body, metric) {
			t.Errorf("/metrics lacks %s:\n%s", metric, a.body)
		}
	}
	for _, page := range []string{b.admin + "/", b.simulator + "/"} {
		if a := get(t, page); a.status != http.StatusOK || !strings.Contains(a.body, "<html") {
			t.Errorf("%s answered %d", page, a.status)
		}
	}
	b.terminate()
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("the sandbox left %v behind, error %v", left, err)
	}
}

// TestSandboxEndsTypingWhenStopped watches what the simulator is told while the
// sandbox stops.
func TestSandboxEndsTypingWhenStopped(t *testing.T) {
	t.Parallel()
	b := newSandbox(t, nil)
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })
	watch := watchTyping(t, b.simulator)
	b.report(t, plainJSON, typing("a", "composing"))
	await(t, "typing", func() bool { return b.agentSees(t).AgentSees.ConsumerTyping })
	b.signal(syscall.SIGTERM)
	if code := b.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	states := watch()
	if len(states) != 2 || states[0] != "COMPOSING" || states[1] != "ACTIVE" && states[1] != "PAUSE" {
		t.Errorf("the simulator was told %v, want COMPOSING and one end of it", states)
	}
}

// watchTyping follows the simulator's events. The returned function waits for
// their end and lists the chat states of consumers.
func watchTyping(t *testing.T, simulator string) func() []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, simulator+"/sim/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	var reading sync.WaitGroup
	reading.Go(func() {
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			var happened struct{ Event lpsim.ChatStateRecord }
			if !ok || json.Unmarshal([]byte(data), &happened) != nil {
				continue
			}
			if happened.Event.Role == lpsim.RoleConsumer && happened.Event.ChatState != "" {
				states = append(states, happened.Event.ChatState)
			}
		}
	})
	return func() []string {
		reading.Wait()
		return states
	}
}

// TestSandboxWithAChannel: somebody who tries his own channel gives the sandbox
// its address and secret, and nothing else.
func TestSandboxWithAChannel(t *testing.T) {
	t.Parallel()
	far := &farSide{t: t}
	channel := httptest.NewServer(far)
	t.Cleanup(channel.Close)
	b := newSandbox(t, map[string]string{"WEBHOOK_SECRET": channelSecret, "WEBHOOK_URL": channel.URL})
	body := message("a", "a1", "hello")
	if a := do(t, http.MethodPost, b.public+"/channels/webhook", plainJSON, body); a.status != http.StatusUnauthorized {
		t.Errorf("an unsigned message was answered %d", a.status)
	}
	b.report(t, signed(t, body), body)
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })

	agent := b.simulator + "/sim/conversations/latest/agent/"
	do(t, http.MethodPost, agent+"typing", plainJSON, `{"chatState":"COMPOSING"}`)
	await(t, "the agent's typing", func() bool {
		e, ok := far.find(func(e farEvent) bool { return e.Type == "typing" && e.Typing.State == "composing" })
		return ok && e.signed && e.Thread == "a"
	})
	do(t, http.MethodPost, agent+"messages", plainJSON, `{"text":"How can I help?"}`)
	await(t, "the agent's message", func() bool {
		e, ok := far.find(func(e farEvent) bool { return e.Type == "message" })
		return ok && e.signed && e.Thread == "a" && e.Message.Text == "How can I help?"
	})
	// LivePerson is told that it arrived once the channel has it.
	await(t, "the receipt", func() bool {
		for _, r := range b.agentSees(t).AgentSees.Receipts {
			if r.Status == "ACCEPT" {
				return true
			}
		}
		return false
	})
	do(t, http.MethodPost, agent+"close", plainJSON, `{}`)
	await(t, "the close", func() bool {
		e, ok := far.find(func(e farEvent) bool { return e.Type == "state" && e.State.Conversation == "closed" })
		return ok && e.signed
	})
	b.terminate()
}

// TestSandboxPorts: the sandbox names the variable of a port that is taken.
func TestSandboxPorts(t *testing.T) {
	t.Parallel()
	taken := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(taken.Close)
	for _, variable := range []string{"LPSIM_LISTEN", "LPBRIDGE_LISTEN", "LPBRIDGE_ADMIN_LISTEN"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			settings := map[string]string{
				"LPBRIDGE_LISTEN": "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0", "LPSIM_LISTEN": "127.0.0.1:0",
				"TMPDIR": t.TempDir(),
			}
			settings[variable] = strings.TrimPrefix(taken.URL, "http://")
			got := outcome(t, settings, "sandbox")
			if got.code != exitFailed || !strings.Contains(got.stderr, "lpbridge sandbox: "+variable+": ") {
				t.Errorf("exit code %d: %s", got.code, got.stderr)
			}
			if left, err := os.ReadDir(settings["TMPDIR"]); err != nil || len(left) > 0 {
				t.Errorf("the sandbox left %v behind, error %v", left, err)
			}
		})
	}
}

// TestSandboxTouchesNothingReal: a shell that is set up for a real account, a
// real journal and a real channel runs a sandbox that leaves all three alone.
func TestSandboxTouchesNothingReal(t *testing.T) {
	t.Parallel()
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the sandbox called LivePerson")
	}))
	t.Cleanup(outside.Close)
	store := filepath.Join(t.TempDir(), "real.db")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("real-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newSandbox(t, map[string]string{
		"LP_ACCOUNT_ID": "12345678", "LP_CLIENT_ID": "real", "LP_CLIENT_SECRET_FILE": secret, "LP_DOMAIN_API_URL": outside.URL,
		"LPBRIDGE_STORE": "sqlite:" + store, "WEBHOOK_URL": "http://192.0.2.1:9/events",
	})
	b.report(t, plainJSON, message("a", "a1", "hello"))
	await(t, "the message", func() bool { return b.agentSees(t).LastText == "hello" })
	if a := do(t, http.MethodPost, b.simulator+"/sim/conversations/"+b.agentSees(t).ConversationID+"/agent/messages", plainJSON, `{"text":"good day"}`); a.status != http.StatusCreated {
		t.Fatalf("the simulator answered %d: %s", a.status, a.body)
	}
	await(t, "the refusal to call outside", func() bool { return strings.Contains(b.stderr.String(), "nothing outside this machine") })
	b.terminate()
	if _, err := os.Stat(store); !os.IsNotExist(err) {
		t.Errorf("the real journal: %v", err)
	}
	for _, variable := range []string{"LPBRIDGE_STORE", "LP_DOMAIN_API_URL"} {
		if !strings.Contains(b.stderr.String(), variable+" is not used") {
			t.Errorf("nothing is said of %s", variable)
		}
	}
}

// TestSandboxOfOneChannel: guide and warnings are about what is served, and about
// variables somebody set.
func TestSandboxOfOneChannel(t *testing.T) {
	t.Parallel()
	free := map[string]string{
		"LPBRIDGE_LISTEN": "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0", "LPSIM_LISTEN": "127.0.0.1:0", "TMPDIR": t.TempDir(),
		"LPBRIDGE_CHANNELS": "chatwoot",
	}
	got := outcome(t, free, "sandbox")
	if got.code != exitConfig || !strings.Contains(got.stderr, "CHATWOOT_BASE_URL: is required") || strings.Contains(got.stderr, "no effect") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	maps.Copy(free, map[string]string{
		"CHATWOOT_BASE_URL": "http://127.0.0.1:9", "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "t", "CHATWOOT_SECRETS": "s",
	})
	p := launch(t, free, "sandbox")
	await(t, "the guide", func() bool { return strings.Contains(p.stdout.String(), "Ctrl-C ends it.") })
	p.terminate()
	if guide := p.stdout.String(); strings.Contains(guide, "/channels/webhook") || !strings.Contains(guide, "Channel chatwoot") {
		t.Errorf("the guide: %s", guide)
	}
	if strings.Contains(p.stderr.String(), "no effect") {
		t.Errorf("warned of what nobody set: %s", p.stderr.String())
	}
}
