package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	buildTime = 5 * time.Minute
	startTime = time.Minute
	stopTime  = 30 * time.Second
	startLook = 2 * time.Millisecond
)

// build makes the binary that was not given.
func (o *options) build(ctx context.Context, dir string) error {
	if o.bridge != "" {
		return nil
	}
	o.bridge = filepath.Join(dir, "lpbridge")
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.bridge, "lpbridge/cmd/lpbridge").CombinedOutput(); err != nil {
		return fmt.Errorf("build lpbridge: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// daemon is lpbridge as a process that is killed and started again. The system
// chooses its addresses anew each time.
type daemon struct {
	path string
	env  []string
	log  *os.File
	// died is told when the process ends without being asked to, and what it said of that.
	died func(said string, err error)

	mu      sync.Mutex
	cmd     *exec.Cmd
	running bool
	ended   chan struct{}
	wanted  bool
	public  string
	admin   string
	// said is why the process ends, in its own words, where those are documented.
	said     string
	oddities []string
}

// start runs lpbridge until it says where it listens.
func (d *daemon) start(ctx context.Context) error {
	ended, err := d.spawn(false)
	if err != nil {
		return err
	}
	limit := time.NewTimer(startTime)
	defer limit.Stop()
	for d.address() == "" {
		select {
		case <-ended:
			return errors.New("start lpbridge: it ended at once; its log says why")
		case <-limit.C:
			d.kill()
			return errors.New("start lpbridge: it did not say that it had started")
		case <-ctx.Done():
			d.kill()
			return ctx.Err()
		case <-time.After(startLook):
		}
	}
	return nil
}

// spawn runs the process, unless it runs. Again is that it is started as by a supervisor, who
// leaves alone what was stopped by an operator.
func (d *daemon) spawn(again bool) (ended chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running || again && d.wanted {
		return d.ended, nil
	}
	cmd := exec.Command(d.path, "run")
	cmd.Env = d.env
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = in
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	in.Close()
	ended = make(chan struct{})
	d.cmd, d.ended, d.wanted, d.running, d.said = cmd, ended, false, true, ""
	go func() {
		d.read(out)
		out.Close()
		d.reap(cmd, ended)
	}()
	return ended, nil
}

// logLine is a line of the log; some say where lpbridge listens.
type logLine struct {
	Message string `json:"msg"`
	Level   string `json:"level"`
	Listen  string `json:"listen"`
	Admin   string `json:"admin"`
}

// What lpbridge says as an error and documents: that another process has taken its journal,
// which is its supervisor's to mend, and that PostgreSQL is away.
const (
	deposed = "another process owns the journal now"
	away    = "PostgreSQL does not answer"
)

// read copies the log, and notes what should never be in it.
func (d *daemon) read(log io.Reader) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintf(d.log, "%s\n", lines.Bytes())
		var line logLine
		_ = json.Unmarshal(lines.Bytes(), &line)
		d.mu.Lock()
		switch {
		case line.Listen != "" && line.Admin != "":
			d.public, d.admin = line.Listen, line.Admin
		case strings.Contains(lines.Text(), deposed):
			d.said = deposed
		case strings.Contains(lines.Text(), away):
		case strings.Contains(lines.Text(), "DATA RACE"), strings.Contains(lines.Text(), "panic:"), line.Level == "ERROR":
			d.oddities = append(d.oddities, lines.Text())
		}
		d.mu.Unlock()
	}
}

func (d *daemon) reap(cmd *exec.Cmd, ended chan struct{}) {
	err := cmd.Wait()
	d.mu.Lock()
	wanted, said := d.wanted, d.said
	d.public, d.admin, d.running = "", "", false
	d.mu.Unlock()
	close(ended)
	if !wanted {
		d.died(said, err)
	}
}

// kill ends the process as a power cut would, and waits until it is gone.
func (d *daemon) kill() {
	d.mu.Lock()
	d.wanted, d.public, d.admin = true, "", ""
	cmd, ended := d.cmd, d.ended
	d.mu.Unlock()
	if cmd == nil {
		return
	}
	// It may be gone already, which is as good.
	_ = cmd.Process.Kill()
	<-ended
}

// stop ends the process in order and reports when it did not.
func (d *daemon) stop() error {
	d.mu.Lock()
	d.wanted = true
	cmd, ended, running := d.cmd, d.ended, d.running
	d.mu.Unlock()
	if !running {
		return nil
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop lpbridge: %w", err)
	}
	select {
	case <-ended:
	case <-time.After(stopTime):
		d.kill()
		return errors.New("stop lpbridge: it did not end in time")
	}
	d.mu.Lock()
	said := d.said
	d.mu.Unlock()
	// On a busy machine the journal may be taken from it just then.
	if code := cmd.ProcessState.ExitCode(); code != 0 && said != deposed {
		return fmt.Errorf("stop lpbridge: exit code %d", code)
	}
	return nil
}

// pid is the process's number, 0 while there is none.
func (d *daemon) pid() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.running {
		return 0
	}
	return d.cmd.Process.Pid
}

// signal sends the process a signal, if there is one.
func (d *daemon) signal(s syscall.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running {
		_ = d.cmd.Process.Signal(s)
	}
}

// address is where lpbridge takes requests, empty while it is down.
func (d *daemon) address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.public
}

func (d *daemon) adminAddress() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.admin
}

// odd returns the lines of the log that should not be there.
func (d *daemon) odd() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.oddities)
}
