package pgcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Standby makes a server that follows this one and takes no writes before it is promoted. It
// ends with the test.
func (c *Cluster) Standby(t testing.TB) *Cluster {
	t.Helper()
	standby, err := startAs(t.TempDir(), func(s *Cluster) error {
		from := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=%s", c.Port, password)
		cmd := s.command("pg_basebackup", "-d", from, "-D", s.data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pg_basebackup: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Kill)
	return standby
}

// Promote has a standby take writes, and returns once it does.
func (c *Cluster) Promote() error {
	promoted, err := c.Run("postgres", "SELECT pg_promote(true, 60)")
	if err == nil && promoted != "t" {
		err = errors.New("the standby was not promoted within a minute")
	}
	return err
}

// Put writes a file of the server's into its folder, for nobody else to read.
func (c *Cluster) Put(name string, content []byte) error {
	path := filepath.Join(c.data, name)
	return errors.Join(os.WriteFile(path, content, 0o600), c.give(path))
}

// Binaries is the folder of PostgreSQL's programs.
func (c *Cluster) Binaries() string { return c.bin }
