package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge/console"
)

const (
	// sandboxBridge is the command by which a sandbox runs its bridge.
	sandboxBridge = "sandbox-bridge"
	// downFor is how long a bridge that was killed stays away: long enough to be seen.
	downFor = 1500 * time.Millisecond
	// firstToken is how long a bridge waits for its first AppJWT before it is said to
	// run: somebody may paste three lines at once.
	firstToken = 2 * time.Second
	// askTime bounds one question about what is pending.
	askTime = time.Second
)

// childReport is the one line a sandbox's bridge writes: where it listens, or why it
// does not run.
type childReport struct {
	Public string `json:"public,omitempty"`
	Admin  string `json:"admin,omitempty"`
	Error  string `json:"error,omitempty"`
}

// sandboxBridgeCommand is the bridge of a sandbox. It ends in order when its standard
// input does, which is also when the sandbox is killed.
func sandboxBridgeCommand(ctx context.Context, env environment) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	env.contained = true
	a, err := sandboxApp(ctx, env)
	if err != nil {
		// The sandbox says it.
		return errors.Join(json.NewEncoder(env.stdout).Encode(childReport{Error: err.Error()}), err)
	}
	within, cancel := context.WithTimeout(ctx, firstToken)
	if _, err := a.lp.tokens.Token(within); err != nil {
		a.settings.log.Warn("the simulator gave no token", "error", err)
	}
	cancel()
	if err := json.NewEncoder(env.stdout).Encode(childReport{Public: a.listeners.public.Addr().String(), Admin: a.listeners.admin.Addr().String()}); err != nil {
		a.abandon()
		return err
	}
	return a.run(ctx)
}

func sandboxApp(ctx context.Context, env environment) (*app, error) {
	s, err := loadSettings(env)
	if err != nil {
		return nil, err
	}
	return newApp(ctx, s)
}

// childBridge is the bridge of a sandbox, a process of its own. It is started again
// when it was killed on purpose.
type childBridge struct {
	env       environment
	variables []string
	token     string
	http      *http.Client
	// up and down are told when it runs and when it does not.
	up   func(public, admin string)
	down func()

	mu sync.Mutex
	// public and admin are where it listens; public changes with every start.
	public, admin string
	child         *exec.Cmd
	input         io.Closer
	ended         chan error
	killed        bool
}

// newChildBridge prepares the bridge of a sandbox. It chooses its own address, for it
// is reached by way of the sandbox's.
func newChildBridge(boxed environment, s *settings) *childBridge {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	b := &childBridge{
		env: boxed, variables: slices.Clone(boxed.all), token: s.Bridge.Doors.AdminToken.Reveal(), http: &http.Client{Transport: transport},
	}
	b.set("LPBRIDGE_LISTEN", "127.0.0.1:0")
	return b
}

// set sets a variable of the next start.
func (b *childBridge) set(name, value string) {
	b.variables = slices.DeleteFunc(b.variables, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	b.variables = append(b.variables, name+"="+value)
}

// start starts the process and waits until it says where it listens.
func (b *childBridge) start(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	child := &exec.Cmd{Path: binary, Args: []string{os.Args[0], sandboxBridge}, Env: b.variables, Stderr: b.env.stderr}
	input, err := child.StdinPipe()
	if err != nil {
		return err
	}
	output, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return fmt.Errorf("start the bridge: %w", err)
	}
	lines := bufio.NewReader(output)
	line, readErr := lines.ReadBytes('\n')
	ended := make(chan error, 1)
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		ended <- child.Wait()
	}()
	b.mu.Lock()
	b.child, b.input, b.ended, b.killed = child, input, ended, false
	b.mu.Unlock()
	var report childReport
	switch {
	case readErr != nil || json.Unmarshal(line, &report) != nil:
		err = fmt.Errorf("the bridge did not start: %w", cmp.Or(<-ended, errors.New("it said nothing")))
	case report.Error != "":
		err = saidBeforeTheEnd(report.Error, <-ended)
	default:
		b.mu.Lock()
		b.public, b.admin = report.Public, report.Admin
		b.mu.Unlock()
		// The console stays where it was.
		b.set("LPBRIDGE_ADMIN_LISTEN", report.Admin)
		b.up(report.Public, localURL(report.Admin))
		return nil
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// kill ends the bridge as a power cut would, and says whether one ran.
func (b *childBridge) kill() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.child == nil || b.killed {
		return false
	}
	b.killed = b.child.Process.Kill() == nil
	return b.killed
}

// run waits until ctx ends, then ends the bridge in order. A bridge that was killed
// comes back; one that ends by itself ends the sandbox.
func (b *childBridge) run(ctx context.Context) error {
	defer b.http.CloseIdleConnections()
	for {
		select {
		case <-ctx.Done():
			b.input.Close()
			return ignoreKill(b, <-b.ended)
		case err := <-b.ended:
			b.down()
			if ctx.Err() != nil {
				return ignoreKill(b, err)
			}
			if !b.wasKilled() {
				return fmt.Errorf("the bridge ended: %w", cmp.Or(err, errors.New("nobody asked it to")))
			}
		}
		if away(ctx) {
			return nil
		}
		if err := b.start(ctx); err != nil {
			return err
		}
	}
}

func (b *childBridge) wasKilled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.killed
}

// ignoreKill is how a bridge ended, unless that was wanted.
func ignoreKill(b *childBridge, err error) error {
	if b.wasKilled() {
		return nil
	}
	return err
}

// away waits for as long as a killed bridge stays away; true when all ends before.
func away(ctx context.Context) bool {
	timer := time.NewTimer(downFor)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-ctx.Done():
		return true
	}
}

func (b *childBridge) adminAddress() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.admin
}

// pending is how many events the bridge has not settled.
func (b *childBridge) pending(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, localURL(b.adminAddress())+"/status", nil)
	if err != nil {
		return 0, err
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var report console.Report
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	return report.Pending, nil
}

// saidBeforeTheEnd is why a bridge did not start; how it ended says less.
func saidBeforeTheEnd(said string, _ error) error { return errors.New(said) }
