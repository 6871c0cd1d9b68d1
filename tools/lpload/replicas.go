package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lpbridge/internal/pgcluster"
)

// onPostgres is lpbridge with its journal on PostgreSQL among what is compared.
const onPostgres = "postgres"

// mostReplicas is the most that share a journal.
const mostReplicas = 5

// startReplicas starts PostgreSQL and replicas on it, as one system: the load goes to one after
// the other, and what they use up is added up.
func (r *run) startReplicas(ctx context.Context) (*system, error) {
	folder, err := r.journalDir(onPostgres)
	if err != nil {
		return nil, err
	}
	cluster, err := pgcluster.Start(folder)
	if err != nil {
		return nil, err
	}
	settings := []string{"LPBRIDGE_STORE=" + cluster.URL("postgres", "postgres"), "LPBRIDGE_PEER_LISTEN=127.0.0.1:0"}
	var owner *system
	for i := range r.replicas {
		s, _, err := startBridge(ctx, program{onPostgres, r.bridges[0].path}, folder, r.upstream, settings...)
		if err != nil {
			if owner != nil {
				err = errors.Join(err, owner.end())
			}
			cluster.Kill()
			return nil, err
		}
		if i == 0 {
			owner = s
			owner.database = cluster
			continue
		}
		owner.standbys = append(owner.standbys, s)
	}
	return owner, nil
}

// chooseDoor returns where the next event goes: to one replica after the other.
func (s *system) chooseDoor() string {
	if len(s.standbys) == 0 {
		return s.events
	}
	if at := int(s.next.Add(1)) % (len(s.standbys) + 1); at < len(s.standbys) {
		return s.standbys[at].events
	}
	return s.events
}

// endOthers ends what a system has besides its first process.
func (s *system) endOthers() (err error) {
	for _, o := range s.standbys {
		err = errors.Join(err, o.end())
	}
	s.standbys = nil
	return err
}

// ticksOf reads the processor time of a process from its line in /proc, and its parent.
func ticksOf(stat string) (used time.Duration, parent int, err error) {
	// The name before may have brackets of its own.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, errors.New("/proc: stat is too short")
	}
	parent, err1 := strconv.Atoi(fields[1])
	user, err2 := strconv.Atoi(fields[11])
	kernel, err3 := strconv.Atoi(fields[12])
	return time.Duration(user+kernel) * time.Second / ticks, parent, errors.Join(err1, err2, err3)
}

// usage is the processor time that a system and its database have used.
type usage struct{ system, database time.Duration }

func (s *system) usage() (u usage, err error) {
	if u.system, err = s.cpu(); err != nil {
		return u, err
	}
	u.database, err = s.databaseCPU()
	return u, err
}

// databaseCPU is the processor time that PostgreSQL's processes have used which are there.
func (s *system) databaseCPU() (total time.Duration, err error) {
	if s.database == nil {
		return 0, nil
	}
	server := s.database.PID()
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			// It ended meanwhile.
			continue
		}
		used, parent, err := ticksOf(string(text))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if parent == server || path == fmt.Sprintf("/proc/%d/stat", server) {
			total += used
		}
	}
	return total, nil
}
