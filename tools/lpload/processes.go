package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"lpbridge/internal/pgcluster"
)

const (
	startTime = 30 * time.Second
	stopTime  = 30 * time.Second
	// ticks is USER_HZ, which Linux has had at 100 on all we build for.
	ticks = 100
)

// system is one of the things compared.
type system struct {
	name   string
	events string // where events go
	notify string // where LivePerson's notifications go; empty for none
	admin  string
	cmd    *exec.Cmd
	// standbys share its journal in a database; next counts what goes to one after the other.
	standbys []*system
	next     atomic.Uint32
	database *pgcluster.Cluster
}

// startPart runs one of lpload's own processes.
func startPart(ctx context.Context, name string, args ...string) (*system, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{partArgument, "-name", name}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("start %s: it did not say where it listens", name), cmd.Wait())
	}
	base := "http://" + strings.TrimSpace(line)
	return &system{name: name, events: base + "/event", notify: base + notifyPath, cmd: cmd}, nil
}

// end stops a process in order, or at once when that takes too long.
func (s *system) end() error {
	others := s.endOthers()
	if s.cmd.ProcessState != nil {
		return others
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(stopTime, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	err := errors.Join(others, s.cmd.Wait())
	if s.database != nil {
		s.database.Kill()
	}
	return err
}

// buildBridge makes lpbridge as a release has it.
func buildBridge(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "lpbridge")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "lpbridge/cmd/lpbridge")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build lpbridge: %w: %s", err, bytes.TrimSpace(out))
	}
	return path, nil
}

// freeAddress is a loopback address nobody listens on at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// program is an lpbridge binary, and what it is called in the numbers.
type program struct{ name, path string }

// isBridge tells an lpbridge from a floor.
func (s *system) isBridge() bool { return s.admin != "" }

// startBridge runs lpbridge on a journal in dir and returns how long it took to
// be ready.
func startBridge(ctx context.Context, p program, dir, upstream string, more ...string) (*system, time.Duration, error) {
	public, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.Command(p.path, "run")
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "LP") && !strings.HasPrefix(name, "WEBHOOK_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env,
		"LPBRIDGE_LISTEN="+public, "LPBRIDGE_ADMIN_LISTEN="+admin, "LPBRIDGE_STORE=sqlite:"+filepath.Join(dir, "lpbridge.db"),
		"LPBRIDGE_CHANNELS=webhook", "LPBRIDGE_LOG_LEVEL=warn", "LP_ACCOUNT_ID=load", "LP_CLIENT_ID=load", "LP_CLIENT_SECRET="+secret,
		"LP_DOMAIN_API_URL="+upstream, "LP_NOTIFICATIONS=off", "WEBHOOK_ALLOW_UNSIGNED=true", "WEBHOOK_URL="+upstream+"/sink",
	), more...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("start lpbridge: %w", err)
	}
	s := &system{name: p.name, events: "http://" + public + "/channels/webhook", notify: "http://" + public + notifyPath, admin: "http://" + admin, cmd: cmd}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		if get(ctx, s.admin+"/readyz") == nil {
			return s, time.Since(began), nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			_ = cmd.Process.Kill()
			return nil, 0, errors.Join(errors.New("start lpbridge: it did not become ready"), cmd.Wait())
		}
	}
}

func get(ctx context.Context, url string) error {
	_, err := read(ctx, url)
	return err
}

func read(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// cpu is the processor time the process has used, and those that share its journal.
func (s *system) cpu() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	total, _, err := ticksOf(string(data))
	for _, o := range s.standbys {
		used, failed := o.cpu()
		total, err = total+used, errors.Join(err, failed)
	}
	return total, err
}

// spending is what a process has used up since its start that does not depend on
// how fast the machine is.
type spending struct {
	// written is what it had written to disk in bytes, allocated the memory it took in
	// bytes, and allocations how often; only lpbridge tells of the last two.
	written, allocated, allocations float64
}

func (a spending) since(b spending) spending {
	return spending{a.written - b.written, a.allocated - b.allocated, a.allocations - b.allocations}
}

func (a spending) per(n float64) spending {
	return spending{a.written / n, a.allocated / n, a.allocations / n}
}

func (s *system) spent(ctx context.Context) (spending, error) {
	var out spending
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", s.cmd.Process.Pid))
	if err != nil {
		return out, err
	}
	if out.written, err = named(string(data), "write_bytes: "); err != nil || !s.isBridge() {
		return out, err
	}
	text, err := read(ctx, s.admin+"/metrics")
	if err != nil {
		return out, err
	}
	var err2 error
	out.allocated, err = named(string(text), "go_memstats_alloc_bytes_total ")
	out.allocations, err2 = named(string(text), "go_memstats_mallocs_total ")
	return out, errors.Join(err, err2)
}

// named is the number after a name at the start of a line.
func named(text, name string) (value float64, err error) {
	_, rest, _ := strings.Cut("\n"+text, "\n"+name)
	if _, err := fmt.Sscan(rest, &value); err != nil {
		return 0, fmt.Errorf("%s: %w", strings.TrimSpace(name), err)
	}
	return value, nil
}

// memory is the process's resident memory in MiB.
func (s *system) memory() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("/proc: VmRSS: %w", err)
	}
	return kib / 1024, nil
}

// pause waits unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
