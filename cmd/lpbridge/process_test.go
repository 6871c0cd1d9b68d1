package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lpbridge/bridge/console"
)

// patience is how long something that must happen may take. It is no
// measurement: only a test that fails waits for it.
const patience = 2 * time.Minute

// await polls until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// output collects what a process writes.
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

// process is an lpbridge of its own.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{}

	// public and admin are the URLs of the listeners once it has started.
	public, admin string
}

// launch starts lpbridge with nothing in its environment but the settings. It
// is killed at the end of the test if it still runs.
func launch(t *testing.T, settings map[string]string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("lpbridge", args...), ended: make(chan struct{})}
	p.start(settings)
	return p
}

// start runs the command of a process.
func (p *process) start(settings map[string]string) {
	p.t.Helper()
	t := p.t
	p.cmd.Dir, p.cmd.Env = t.TempDir(), environ(settings)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		// How it ended is read from the process's state.
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		p.checkOutput()
		if t.Failed() {
			t.Logf("%s wrote:\n%s%s", strings.Join(p.cmd.Args, " "), p.stdout.String(), p.stderr.String())
		}
	})
}

// checkOutput looks for what must be in no output.
func (p *process) checkOutput() {
	all := p.stderr.String()
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine 1 ["} {
		if strings.Contains(all, bad) {
			p.t.Errorf("the process wrote %q:\n%s", bad, all)
		}
	}
	for line := range strings.Lines(all) {
		if key := repeatedKey(line); key != "" {
			p.t.Errorf("a log line has the key %q twice: %s", key, line)
		}
	}
}

// repeatedKey returns a key that a line of JSON has twice at the top.
func repeatedKey(line string) string {
	d := json.NewDecoder(strings.NewReader(line))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return ""
		}
		if seen[name] {
			return name
		}
		seen[name] = true
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return ""
		}
	}
	return ""
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// signal sends a signal, unless the process has ended.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal: %v", err)
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// exit waits for the process to end and returns its exit code, -1 when a signal
// ended it.
func (p *process) exit() int {
	p.t.Helper()
	await(p.t, "the end of the process", p.over)
	return p.cmd.ProcessState.ExitCode()
}

// terminate stops the process as a supervisor does and wants it to be content.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		p.t.Fatalf("exit code %d after SIGTERM, want %d", code, exitOK)
	}
}

// line returns the first log line with a message, as JSON.
func (p *process) line(msg string) map[string]any {
	for line := range strings.Lines(p.stderr.String()) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == msg {
			return record
		}
	}
	return nil
}

// awaitLine waits for a log line.
func (p *process) awaitLine(msg string) map[string]any {
	p.t.Helper()
	var record map[string]any
	await(p.t, "the log line "+msg, func() bool {
		ended := p.over()
		if record = p.line(msg); record == nil && ended {
			p.t.Fatalf("the process ended with %d before it wrote %q", p.cmd.ProcessState.ExitCode(), msg)
		}
		return record != nil
	})
	return record
}

// awaitStart waits until the process serves.
func (p *process) awaitStart() *process {
	p.t.Helper()
	record := p.awaitLine("started")
	p.public, p.admin = "http://"+record["listen"].(string), "http://"+record["admin"].(string)
	return p
}

// status is the bridge's own account of itself.
func (p *process) status(t *testing.T) (report console.Report) {
	t.Helper()
	a := get(t, p.admin+"/status")
	if err := json.Unmarshal([]byte(a.body), &report); a.status != http.StatusOK || err != nil {
		t.Fatalf("/status answered %d: %v: %s", a.status, err, a.body)
	}
	return report
}

// finished is what became of a command.
type finished struct {
	code           int
	stdout, stderr string
}

// outcome runs lpbridge to its end.
func outcome(t *testing.T, settings map[string]string, args ...string) finished {
	t.Helper()
	p := launch(t, settings, args...)
	code := p.exit()
	return finished{code, p.stdout.String(), p.stderr.String()}
}

// answer is that of an HTTP server.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem decodes the body of an error.
func (a answer) problem(t *testing.T) (p struct {
	Status        int
	Title, Detail string
	Field         string
}) {
	t.Helper()
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type of a %d is %q: %s", a.status, ct, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("a %d is no problem: %v: %s", a.status, err, a.body)
	}
	if p.Status != a.status {
		t.Errorf("the problem says %d, the answer is %d", p.Status, a.status)
	}
	return p
}

// browser makes the requests of tests, without redirects.
var browser = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// try makes one request.
func try(method, url string, header http.Header, body string) (answer, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := browser.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

// do makes one request that must be answered.
func do(t *testing.T, method, url string, header http.Header, body string) answer {
	t.Helper()
	a, err := try(method, url, header, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(t *testing.T, url string) answer {
	t.Helper()
	return do(t, http.MethodGet, url, nil, "")
}
