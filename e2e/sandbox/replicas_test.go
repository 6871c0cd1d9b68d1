//go:build e2e

package sandbox_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"lpbridge/bridge/console"
	"lpbridge/connector/lpsim"
	"lpbridge/internal/pgcluster"
)

const (
	// patience bounds what must happen; only a test that fails waits for it.
	patience = 2 * time.Minute
	// killPath is where a script has the owner killed, beside the simulator.
	killPath = "/kill-owner"
)

// TestClientsAtTwoReplicas: published clients hold their sockets at one replica and make
// their requests at the other, and notice nothing of it, whichever owns the journal.
// LivePerson's notifications come to the standby. In two of the runs an SDK loses its socket
// because the owner is killed, while both sides type, and goes on with the next owner.
func TestClientsAtTwoReplicas(t *testing.T) {
	database, binary := pgcluster.ForTest(t), build(t)
	runs := map[string]func(*testing.T){}
	for _, of := range []struct {
		name            string
		socketsAtOwner  bool
		kill            bool
		scripts, drives []string
	}{
		{name: "sockets at the standby", scripts: []string{"websdk.js", "web-xdk.js"}, drives: []string{"drive.mjs"}},
		{name: "sockets at the owner", socketsAtOwner: true, scripts: []string{"websdk.js", "web-xdk.js"}, drives: []string{"drive.mjs"}},
		{name: "owner with sockets killed", socketsAtOwner: true, kill: true, scripts: []string{"websdk.js"}},
		{name: "owner with requests killed", kill: true, scripts: []string{"web-xdk.js"}},
	} {
		store := database.URL("postgres", "postgres") + "&search_path=" + schema(t, database, of.name)
		runs[of.name] = func(t *testing.T) {
			p := newPair(t, binary, store, of.socketsAtOwner)
			if of.kill {
				p.lose = p.simulator + killPath
			}
			p.play(t, of.scripts, of.drives)
			p.check(t, len(of.scripts), of.kill)
		}
	}
	together(t, runs)
}

// together runs tests at the same time, also where there are fewer processors: these wait more
// than they work.
func together(t *testing.T, tests map[string]func(*testing.T)) {
	t.Helper()
	var all sync.WaitGroup
	for name, test := range tests {
		all.Go(func() { t.Run(name, test) })
	}
	all.Wait()
}

// schema makes one for the journal of a run.
func schema(t *testing.T, database *pgcluster.Cluster, of string) string {
	t.Helper()
	name := strings.ReplaceAll(of, " ", "_")
	if _, err := database.Run("postgres", "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	return name
}

// pair is two replicas with LivePerson behind them and a balancer before them, which brings
// sockets to one and requests to the other.
type pair struct {
	t              *testing.T
	sim            *lpsim.Sim
	simulator      string
	base, ca       string
	owner, standby *replica

	// toSockets and toRequests are where the balancer brings them.
	toSockets, toRequests atomic.Pointer[url.URL]
	sockets, requests     atomic.Int64

	// lose is where a script has its socket taken away; empty when it closes that itself.
	lose string
}

func newPair(t *testing.T, binary, store string, socketsAtOwner bool) *pair {
	t.Helper()
	p := &pair{t: t, sim: lpsim.New(lpsim.Config{})}
	t.Cleanup(p.sim.Close)
	world := http.NewServeMux()
	world.Handle("/", p.sim)
	world.HandleFunc("POST "+killPath, func(w http.ResponseWriter, _ *http.Request) {
		p.killOwner()
		w.WriteHeader(http.StatusNoContent)
	})
	livePerson := httptest.NewServer(world)
	t.Cleanup(livePerson.Close)
	p.simulator = livePerson.URL
	p.base, p.ca = secureProxy(t, p.balance)
	settings := map[string]string{
		"LPBRIDGE_LISTEN": "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0", "LPBRIDGE_PEER_LISTEN": "127.0.0.1:0",
		"LPBRIDGE_STORE": store, "LPBRIDGE_CONSUMER_KEY": consumerKey, "LPBRIDGE_PUBLIC_URL": p.base,
		// A busy machine takes over more slowly.
		"LPBRIDGE_HOLD_FOR": "25s",
		"LPBRIDGE_CHANNELS": "chatwootapi,layer", "CHATWOOTAPI_INBOXES": "inbox",
		"LAYER_APP_IDS": "sandbox", "LAYER_ORIGINS": origin, "LAYER_SANDBOX_IDENTITIES": "true",
		"LP_ACCOUNT_ID": "sandbox", "LP_CLIENT_ID": "sandbox-client", "LP_CLIENT_SECRET": "sandbox-secret",
		"LP_DOMAIN_API_URL": p.simulator, "LP_NOTIFICATIONS": "on",
	}
	p.owner = launch(t, binary, settings).await(t, "started")
	p.standby = launch(t, binary, settings).await(t, "standby")
	awaitReady(t, p.owner.admin+"/readyz")
	awaitReady(t, p.standby.admin+"/readyz")
	sockets, requests := p.standby, p.owner
	if socketsAtOwner {
		sockets, requests = requests, sockets
	}
	p.toSockets.Store(sockets.public)
	p.toRequests.Store(requests.public)
	if err := p.sim.SetWebhooks(lpsim.Webhooks{URL: p.standby.public.String() + "/webhooks/liveperson", RetentionSeconds: 3600}); err != nil {
		t.Fatal(err)
	}
	return p
}

// balance brings a request to its replica.
func (p *pair) balance(r *httputil.ProxyRequest) {
	to, count := &p.toRequests, &p.requests
	if strings.EqualFold(r.In.Header.Get("Upgrade"), "websocket") {
		to, count = &p.toSockets, &p.sockets
	}
	count.Add(1)
	r.SetURL(to.Load())
}

// killOwner ends the owner as a power cut would, once nothing is in doubt, and tells the
// balancer.
func (p *pair) killOwner() {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		report, err := p.owner.status()
		if err == nil && report.Pending == 0 {
			break
		}
		if err != nil || time.Now().After(deadline) {
			p.t.Errorf("the owner has %d events left: %v", report.Pending, err)
			return
		}
	}
	if err := p.owner.cmd.Process.Kill(); err != nil {
		p.t.Error(err)
	}
	<-p.owner.ended
	p.toSockets.Store(p.standby.public)
	p.toRequests.Store(p.standby.public)
}

// play runs Layer's SDKs and Chatwoot's clients at once.
func (p *pair) play(t *testing.T, scripts, drives []string) {
	t.Helper()
	clients := map[string]func(*testing.T){}
	for _, script := range scripts {
		clients[script] = func(t *testing.T) {
			node(t, "../layer", script, "BASE_URL="+p.base+"/layer", "IDENTITY_URL="+p.base+"/layer/sandbox/identity_token",
				"APP_ID=layer:///apps/staging/sandbox", "ORIGIN="+origin, "SIM_URL="+p.simulator, "CONSUMER_KEY="+consumerKey, "NODE_EXTRA_CA_CERTS="+p.ca, "LOSE_URL="+p.lose)
		}
	}
	for _, script := range drives {
		clients[script] = func(t *testing.T) {
			node(t, "../chatwootapi", script, "BASE_URL="+p.base, "INBOX=inbox", "SIM_URL="+p.simulator, "NODE_EXTRA_CA_CERTS="+p.ca)
		}
	}
	together(t, clients)
}

// check looks at what is left behind, and at whether it went as it was meant to: by way of
// both replicas, and with as many owners as there had to be.
func (p *pair) check(t *testing.T, consumers int, killed bool) {
	t.Helper()
	checkLeftBehind(t, p.simulator, consumers)
	if p.sockets.Load() == 0 || p.requests.Load() == 0 {
		t.Errorf("the balancer brought %d sockets and %d requests", p.sockets.Load(), p.requests.Load())
	}
	report, err := p.standby.status()
	if err != nil || report.Replica == nil {
		t.Fatalf("the standby's status: %v", err)
	}
	role, epoch := "standby", int64(1)
	if killed {
		role, epoch = "owner", 2
	}
	r := report.Replica
	t.Logf("%d sockets, %d requests came; the standby handed on %v", p.sockets.Load(), p.requests.Load(), r.Forwarded)
	if r.Role != role || r.Epoch != epoch || r.Forwarded["answered"] == 0 {
		t.Errorf("the former standby is %+v, want one that handed on, %s with owner number %d", *r, role, epoch)
	}
	p.standby.terminate(t)
	if !killed {
		p.owner.terminate(t)
	}
}

// replica is an lpbridge of its own.
type replica struct {
	cmd    *exec.Cmd
	output output
	ended  chan struct{}
	public *url.URL
	admin  string
}

// launch starts a replica, which is killed at the end of the test if it still runs.
func launch(t *testing.T, binary string, settings map[string]string) *replica {
	t.Helper()
	r := &replica{cmd: exec.Command(binary, "run"), ended: make(chan struct{})}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = t.TempDir(), os.Environ(), &r.output, &r.output
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		r.cmd.Env = append(r.cmd.Env, name+"="+settings[name])
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		// How it ended is read from the process's state.
		_ = r.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		<-r.ended
		if t.Failed() {
			t.Logf("a replica wrote:\n%s", r.output.String())
		}
	})
	return r
}

// await waits for the log line that says where the replica listens.
func (r *replica) await(t *testing.T, message string) *replica {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for line := range strings.Lines(r.output.String()) {
			var said struct{ Msg, Listen, Admin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == message {
				r.public, r.admin = &url.URL{Scheme: "http", Host: said.Listen}, "http://"+said.Admin
				return r
			}
		}
		select {
		case <-r.ended:
			t.Fatalf("a replica ended with %v before it wrote %q", r.cmd.ProcessState, message)
		default:
		}
	}
	t.Fatalf("a replica did not write %q within %s", message, patience)
	return nil
}

// status is the replica's own account of itself.
func (r *replica) status() (report console.Report, err error) {
	resp, err := http.Get(r.admin + "/status")
	if err != nil {
		return report, err
	}
	defer resp.Body.Close()
	return report, json.NewDecoder(resp.Body).Decode(&report)
}

// terminate stops the replica as a supervisor does and wants it to be content.
func (r *replica) terminate(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-r.ended:
	case <-time.After(patience):
		t.Fatal("a replica did not end")
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("a replica ended with %d after SIGTERM", code)
	}
}

// output is what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
