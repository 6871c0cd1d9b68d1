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
	startTime = 20 * time.Second
	stopTime  = 30 * time.Second
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
	// died is told when the process ends without being asked to.
	died func(error)

	mu       sync.Mutex
	cmd      *exec.Cmd
	ended    chan struct{}
	wanted   bool
	public   string
	admin    string
	oddities []string
}

// start runs lpbridge until it says that it has started.
func (d *daemon) start(ctx context.Context) error {
	cmd := exec.Command(d.path, "run")
	cmd.Env = d.env
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stderr = in
	if err := cmd.Start(); err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	in.Close()
	started := make(chan startedLine, 1)
	ended := make(chan struct{})
	d.mu.Lock()
	d.cmd, d.ended, d.wanted = cmd, ended, false
	d.mu.Unlock()
	go func() {
		d.read(out, started)
		out.Close()
		d.reap(cmd, ended)
	}()
	select {
	case line := <-started:
		d.mu.Lock()
		d.public, d.admin = line.Listen, line.Admin
		d.mu.Unlock()
		return nil
	case <-ended:
		return errors.New("start lpbridge: it ended at once; its log says why")
	case <-time.After(startTime):
		d.kill()
		return errors.New("start lpbridge: it did not say that it had started")
	case <-ctx.Done():
		d.kill()
		return ctx.Err()
	}
}

// startedLine is the line of the log that says where lpbridge listens.
type startedLine struct {
	Message string `json:"msg"`
	Level   string `json:"level"`
	Listen  string `json:"listen"`
	Admin   string `json:"admin"`
}

// read copies the log, and notes what should never be in it.
func (d *daemon) read(log io.Reader, started chan<- startedLine) {
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintf(d.log, "%s\n", lines.Bytes())
		var line startedLine
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "started" {
			started <- line
		}
		for _, bad := range []string{"DATA RACE", "panic:", `"level":"ERROR"`} {
			if strings.Contains(lines.Text(), bad) {
				d.mu.Lock()
				d.oddities = append(d.oddities, lines.Text())
				d.mu.Unlock()
			}
		}
	}
}

func (d *daemon) reap(cmd *exec.Cmd, ended chan struct{}) {
	err := cmd.Wait()
	d.mu.Lock()
	wanted := d.wanted
	d.public, d.admin = "", ""
	d.mu.Unlock()
	if !wanted {
		d.died(fmt.Errorf("it ended by itself: %w", errors.Join(err)))
	}
	close(ended)
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
	cmd, ended := d.cmd, d.ended
	d.mu.Unlock()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop lpbridge: %w", err)
	}
	select {
	case <-ended:
	case <-time.After(stopTime):
		d.kill()
		return errors.New("stop lpbridge: it did not end in time")
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("stop lpbridge: exit code %d", code)
	}
	return nil
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
