package main

import (
	"bytes"
	"strings"
	"testing"

	"lpbridge/internal/pgcluster"
)

// TestSmallSoakOnPostgres is the soak with two replicas at a size that fits among tests: the
// owner is killed, and the next one is frozen beyond its lease.
func TestSmallSoakOnPostgres(t *testing.T) {
	t.Parallel()
	pgcluster.Need(t)
	var out, log bytes.Buffer
	code := execute(t.Context(), []string{
		"-store=postgres", "-replicas=2", "-seed=9", "-blows=kill owner,freeze owner", "-threads=10", "-messages=200", "-kills=2", "-closes=1", "-during=4s",
		"-echo-wait=5s", "-drain=2m", "-keep=" + t.TempDir(),
	}, &out, &log)
	if code != exitKept {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "\n"+tableHead+"\n| 9 | 2 | 200 | 2 (1 kill owner, 1 freeze owner) | ") {
		t.Errorf("the run is no row of the table:\n%s", out.String())
	}
}

// TestSmallSoakOfOneReplica: a single one meets all that can befall PostgreSQL and the network
// before it.
func TestSmallSoakOfOneReplica(t *testing.T) {
	t.Parallel()
	pgcluster.Need(t)
	var out, log bytes.Buffer
	code := execute(t.Context(), []string{
		"-store=postgres", "-seed=5", "-blows=kill PostgreSQL,lose answers to owner", "-threads=10", "-messages=200", "-kills=2", "-closes=0", "-during=4s",
		"-echo-wait=5s", "-drain=2m", "-keep=" + t.TempDir(),
	}, &out, &log)
	if code != exitKept {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "| 5 | 1 | 200 | 2 (1 kill PostgreSQL, 1 lose answers to owner) | ") {
		t.Errorf("not both befell it:\n%s", out.String())
	}
}
