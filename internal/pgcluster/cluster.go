// Package pgcluster runs PostgreSQL for tests and soaks: a cluster of its own in a
// folder of its own, on a port of the loopback, which can be killed and started again.
// It flushes as PostgreSQL does by default, so that what it confirmed is there after a
// power cut too, but for the one that tests share: that is for what is not about crashes. It
// assumes the server's binaries in the PATH or where Debian puts them.
package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// variable says what tests do that need PostgreSQL: run where it is installed, which is
	// the default; skip in any case; or fail where it is missing.
	variable = "TEST_POSTGRES"
	skip     = "skip"
	required = "required"

	password = "cluster-password"
	// startTime is how long a start may take on a busy machine.
	startTime = 90 * time.Second
)

// Cluster is a PostgreSQL server. Its superuser is postgres.
type Cluster struct {
	// Port is where it listens on 127.0.0.1.
	Port int
	bin  string
	data string
	// as has commands run as another user, give lets that one have a file.
	as   func(*exec.Cmd)
	give func(path string) error
	// settings are the server's, besides those that all have.
	settings []string

	mu     sync.Mutex
	server *exec.Cmd
}

// binaries returns the folder of the server's binaries.
func binaries() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL's server is not installed: neither in the PATH nor below /usr/lib/postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// ForTest starts a cluster that ends with the test. Where there is no PostgreSQL, the
// test is skipped, unless TEST_POSTGRES says that it must be there.
func ForTest(t testing.TB) *Cluster {
	t.Helper()
	c := startFor(t, t.TempDir())
	t.Cleanup(c.Kill)
	return c
}

// shared is a cluster that many tests of one process share.
var shared struct {
	sync.Mutex
	cluster *Cluster
	folder  string
	schemas int
}

// Shared is as [ForTest] for a cluster that the tests of a process share, which calls
// [EndShared] before it exits. It flushes nothing, and must not be killed.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		folder, err := os.MkdirTemp("", "pgcluster")
		if err != nil {
			t.Fatal(err)
		}
		shared.folder = folder
		shared.cluster = startFor(t, folder, "fsync=off", "full_page_writes=off", "autovacuum=off")
	}
	return shared.cluster
}

// EndShared ends the shared cluster, if there is one.
func EndShared() {
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster != nil {
		shared.cluster.Kill()
	}
	if shared.folder != "" {
		os.RemoveAll(shared.folder)
	}
}

// Schema is the address of a schema of its own in the shared cluster.
func Schema(t testing.TB) string {
	t.Helper()
	c := Shared(t)
	shared.Lock()
	shared.schemas++
	name := fmt.Sprint("s", shared.schemas)
	shared.Unlock()
	if _, err := c.Run("postgres", "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	return c.URL("postgres", "postgres") + "&search_path=" + name
}

// Need skips a test where there is no PostgreSQL, unless TEST_POSTGRES says that it must
// be there.
func Need(t testing.TB) {
	t.Helper()
	_, missing := binaries()
	switch wanted := os.Getenv(variable); {
	case wanted == skip:
		t.Skipf("not run: %s=%s", variable, skip)
	case missing != nil && wanted != required:
		t.Skipf("not run: %v", missing)
	}
}

func startFor(t testing.TB, folder string, settings ...string) *Cluster {
	t.Helper()
	Need(t)
	c, err := startAs(folder, func(c *Cluster) error { return c.make(folder) }, settings...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Alone reports whether tests are to run on PostgreSQL only.
func Alone() bool { return os.Getenv(variable) == required }

// Start makes a cluster in an empty folder and starts it. Whoever starts one kills it.
func Start(folder string) (*Cluster, error) {
	return startAs(folder, func(c *Cluster) error { return c.make(folder) })
}

// startAs starts a cluster whose folder is filled before.
func startAs(folder string, fill func(*Cluster) error, settings ...string) (*Cluster, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, data: filepath.Join(folder, "data"), as: func(*exec.Cmd) {}, give: func(string) error { return nil }, settings: settings}
	if err = os.Mkdir(c.data, 0o700); err == nil {
		err = c.becomeNobody(folder)
	}
	if err == nil {
		err = fill(c)
	}
	if err != nil {
		return nil, fmt.Errorf("make a cluster: %w", err)
	}
	if c.Port, err = FreePort(); err != nil {
		return nil, err
	}
	return c, c.Restart()
}

// make runs initdb, as another user where this one is root, which PostgreSQL refuses.
func (c *Cluster) make(folder string) error {
	secret := filepath.Join(folder, "password")
	if err := errors.Join(os.WriteFile(secret, []byte(password), 0o600), c.give(secret)); err != nil {
		return err
	}
	cmd := c.command("initdb", "-D", c.data, "-U", "postgres", "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

func (c *Cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.data
	c.as(cmd)
	return cmd
}

// FreePort is a port of the loopback at which nobody listens.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// URL is the address of a database for a role, with the superuser's password.
func (c *Cluster) URL(role, database string) string { return c.URLOn(c.Port, role, database) }

// URLOn is the same through another port, behind which the server is.
func (c *Cluster) URLOn(port int, role, database string) string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable", role, password, port, database)
}

// Restart starts the server, after a kill too, and waits until it answers.
func (c *Cluster) Restart() error {
	var last error
	for end := time.Now().Add(startTime); time.Now().Before(end); pause(100 * time.Millisecond) {
		// What is left of a killed server may still be ending.
		if last = c.start(); last == nil {
			return nil
		}
	}
	return fmt.Errorf("start PostgreSQL: %w", last)
}

func (c *Cluster) start() error {
	args := []string{
		"-D", c.data, "-p", strconv.Itoa(c.Port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=200", "-c", "shared_buffers=16MB", "-c", "max_wal_size=256MB", "-c", "log_min_messages=fatal",
	}
	for _, setting := range c.settings {
		args = append(args, "-c", setting)
	}
	var said bytes.Buffer
	cmd := c.command("postgres", args...)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for end := time.Now().Add(startTime); time.Now().Before(end); pause(20 * time.Millisecond) {
		select {
		case err := <-ended:
			return fmt.Errorf("%w: %s", err, said.Bytes())
		default:
		}
		if _, err := c.Run("postgres", "SELECT 1"); err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.server = cmd
			return nil
		}
	}
	_ = cmd.Process.Kill()
	return errors.New("it does not answer")
}

// PID is the server's process, 0 while there is none.
func (c *Cluster) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return 0
	}
	return c.server.Process.Pid
}

func pause(d time.Duration) { <-time.After(d) }

// Kill ends the server at once and without a word to anybody, as a power cut does.
func (c *Cluster) Kill() { c.end(syscall.SIGKILL) }

// Stop ends the server in order, and cuts who is connected.
func (c *Cluster) Stop() { c.end(syscall.SIGINT) }

func (c *Cluster) end(how syscall.Signal) {
	c.mu.Lock()
	server := c.server
	c.server = nil
	c.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Process.Signal(how)
	for end := time.Now().Add(startTime); time.Now().Before(end); pause(10 * time.Millisecond) {
		if server.Process.Signal(syscall.Signal(0)) != nil {
			return
		}
	}
}

// Run runs SQL as the superuser and returns the first column of the last row it has.
func (c *Cluster) Run(database, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	conn, err := pgconn.Connect(ctx, c.URL("postgres", database))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	text := ""
	for _, r := range results {
		for _, row := range r.Rows {
			text = string(row[0])
		}
	}
	return text, err
}
