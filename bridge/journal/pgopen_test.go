package journal_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// TestPostgresRefusals: what keeps a journal from being opened is said with what to do, and
// never with the password.
func TestPostgresRefusals(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	for _, sql := range []string{
		"CREATE ROLE nothing LOGIN PASSWORD 'cluster-password'", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'",
		"REVOKE CREATE ON DATABASE postgres FROM PUBLIC",
	} {
		if _, err := c.Run("postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	newer := pgcluster.Schema(t)
	if err := open(t, on(newer)).Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run("postgres", "UPDATE "+newer[strings.LastIndex(newer, "=")+1:]+".layout SET version = 1000"); err != nil {
		t.Fatal(err)
	}
	good := c.URL("postgres", "postgres")
	for _, of := range []struct{ name, address, want string }{
		{"wrong password", strings.Replace(good, "cluster-password", "guess-password", 1), "check the user in LPBRIDGE_STORE, its password there or in LPBRIDGE_STORE_PASSWORD"},
		{"unknown role", c.URL("nobody_knows", "postgres"), "check the user in LPBRIDGE_STORE"},
		{"no such database", c.URL("postgres", "elsewhere"), "create the database that LPBRIDGE_STORE names"},
		{"no rights", c.URL("nothing", "postgres"), "CREATE SCHEMA lpbridge AUTHORIZATION"},
		{"no such schema", good + "&search_path=elsewhere", "create the schema that search_path in LPBRIDGE_STORE names"},
		{"newer schema", newer, "the database has schema version 1000 and this program knows up to 2: a newer release of lpbridge wrote this database"},
		{"encoding", c.URL("postgres", "latin"), "the database's encoding must be UTF8"},
		{"no TLS", strings.Replace(good, "sslmode=disable", "sslmode=require", 1), "server refused TLS connection"},
		{"wrong sslmode", strings.Replace(good, "sslmode=disable", "sslmode=cluster-password", 1), "look at sslmode"},
		{"no database", "postgres://u:cluster-password@127.0.0.1", "must name a database after the host"},
		{"no address", "postgres://u:cluster-password%@127.0.0.1/x", "is no address that can be read"},
	} {
		t.Run(of.name, func(t *testing.T) {
			_, err := journal.Open(t.Context(), on(of.address))
			if err == nil || !strings.Contains(err.Error(), of.want) {
				t.Errorf("error %v, want %q", err, of.want)
			}
			if err != nil && strings.Contains(err.Error(), "-password") {
				t.Errorf("the error shows the password: %v", err)
			}
			_, err = journal.InspectPostgres(t.Context(), of.address, "")
			if err == nil || strings.Contains(err.Error(), "-password") {
				t.Errorf("inspect: error %v, want one without the password", err)
			}
		})
	}
}

// TestPostgresPassword: a password beside the address serves as one in it.
func TestPostgresPassword(t *testing.T) {
	t.Parallel()
	opts := on(strings.Replace(pgcluster.Schema(t), ":cluster-password@", "@", 1))
	opts.Password = "cluster-password"
	j := open(t, opts)
	found, err := journal.InspectPostgres(t.Context(), opts.Store, opts.Password)
	if want := "reached, schema version 2, owned by " + j.Owner().Name; found != want || err != nil {
		t.Errorf("found %q, error %v, want %q", found, err, want)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLeastPrivileges: a role that owns its schema, and nothing else, is enough.
func TestLeastPrivileges(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	for _, sql := range []string{"CREATE ROLE least LOGIN PASSWORD 'cluster-password'", "CREATE DATABASE apart"} {
		if _, err := c.Run("postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Run("apart", "REVOKE ALL ON DATABASE apart FROM PUBLIC; GRANT CONNECT ON DATABASE apart TO least; REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE SCHEMA lpbridge AUTHORIZATION least"); err != nil {
		t.Fatal(err)
	}
	j := open(t, on(c.URL("least", "apart")))
	if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
		t.Error(err)
	}
	if err := j.Scrub(t.Context()); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestRoleOfTheComposeFile: what deploy/compose.replicas.yaml has a new PostgreSQL run makes a role that is enough.
func TestRoleOfTheComposeFile(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("cluster-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", filepath.Join("..", "..", "deploy", "postgres-init.sh"))
	cmd.Env = []string{
		"PATH=" + c.Binaries() + ":" + os.Getenv("PATH"), "DB_PASSWORD_FILE=" + secret,
		"PGHOST=127.0.0.1", fmt.Sprint("PGPORT=", c.Port), "PGPASSWORD=cluster-password",
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	j := open(t, on(c.URL("lpbridge", "lpbridge")))
	accept(t, j, "m-1")
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
