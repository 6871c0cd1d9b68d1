//go:build unix

package main

import (
	"strconv"
	"testing"
	"time"

	"lpbridge/internal/pgcluster"
)

// transactions is how many transactions there were in the database of the bridges, as far as
// PostgreSQL's statistics say; asking takes place in another database.
func transactions(t *testing.T, c *pgcluster.Cluster) int {
	t.Helper()
	text, err := c.Run("template1", "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestIdleReplicasAskSeldom: with nothing to do, owner and standby ask PostgreSQL less than five
// times a second each: so many transactions take at least so long, once what follows a start is done.
func TestIdleReplicasAskSeldom(t *testing.T) {
	t.Parallel()
	const replicas, most, some = 2, 5, 50
	s := newStage(t)
	c := pgcluster.ForTest(t)
	s.settings["LPBRIDGE_STORE"] = c.URL("postgres", "postgres")
	owner := s.run(nil)
	standby := s.standBy(nil)
	count, began := transactions(t, c), time.Now()
	look := time.Tick(200 * time.Millisecond)
	await(t, "fifty transactions that took long", func() bool {
		<-look
		now := transactions(t, c)
		if now < count+some {
			return false
		}
		took := time.Since(began)
		t.Logf("%d transactions in %s", now-count, took)
		slow := took > time.Duration(now-count)*time.Second/(most*replicas)
		count, began = now, time.Now()
		return slow
	})
	standby.terminate()
	owner.terminate()
}
