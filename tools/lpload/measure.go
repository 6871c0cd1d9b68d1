package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// warmUp is how long each system runs before anything counts.
const warmUp = 300 * time.Millisecond

// series are the values of each measurement, one per round, by system.
type series map[string]map[string][]float64

func (s series) add(what, system string, value float64) {
	if s[what] == nil {
		s[what] = map[string][]float64{}
	}
	s[what][system] = append(s[what][system], value)
}

func (s series) median(what, system string) float64 {
	values := slices.Sorted(slices.Values(s[what][system]))
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}

// run is one whole comparison.
type run struct {
	*load
	dir string
	// bridges are lpbridge and, when asked for, the one it is compared with.
	bridges []program
	found   series
	notes   []string
}

// measure starts everything, compares, and prints.
func measure(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "lpload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := o.bridge
	if path == "" {
		if path, err = buildBridge(ctx, dir); err != nil {
			return err
		}
	}
	up, err := startPart(ctx, "upstream")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, up.end()) }()
	base := up.events[:len(up.events)-len("/event")]
	r := &run{load: newLoad(o, base), dir: dir, bridges: []program{{"bridge", path}}, found: series{}}
	if o.before != "" {
		r.bridges = append(r.bridges, program{"before", o.before})
	}
	began := time.Now()
	for _, stage := range []struct {
		name   string
		wanted bool
		do     func(context.Context) error
	}{
		{"floors", r.wantsAny(saturatedPart, steadyPart, notificationsPart, troublePart, slowPart), r.compare},
		{"many threads", r.wants(threadsPart), r.each(r.manyThreads)}, {"restart", r.wants(restartPart), r.each(r.restart)},
	} {
		if !stage.wanted {
			continue
		}
		fmt.Fprintf(out, "%5.0f s  %s\n", time.Since(began).Seconds(), stage.name)
		if err := stage.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", stage.name, err)
		}
	}
	rows := r.rows()
	printRows(out, rows)
	r.printComparisons(out)
	fmt.Fprintf(out, "\n%d requests were not answered with 2xx; %.0f s, %d rounds\n", r.failed.Load(), time.Since(began).Seconds(), o.rounds)
	for _, n := range r.notes {
		fmt.Fprintln(out, n)
	}
	if o.json == "" {
		return nil
	}
	data, err := json.MarshalIndent(map[string]any{"rows": rows, "values": r.found}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(data, '\n'), 0o644)
}

// printComparisons puts lpbridge beside itself, as far as that was asked for.
func (r *run) printComparisons(out io.Writer) {
	if r.before != "" {
		printChanges(out, "before", "now", r.changes("before", "bridge"))
	}
	if r.replicas > 0 {
		printChanges(out, "SQLite", fmt.Sprintf("PostgreSQL, %d", r.replicas), r.changes("bridge", onPostgres))
	}
}

// journalDir makes a directory for one life of lpbridge.
func (r *run) journalDir(name string) (string, error) {
	dir := filepath.Join(r.dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

// compare runs all systems in turn, round by round, so that what the machine
// does besides hits all of them.
func (r *run) compare(ctx context.Context) (err error) {
	dir, err := r.journalDir("compare")
	if err != nil {
		return err
	}
	systems, err := r.start(ctx, dir)
	defer func() {
		for _, s := range systems {
			err = errors.Join(err, s.end())
		}
	}()
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	for _, s := range systems {
		if !s.isBridge() {
			continue
		}
		idle, err := s.memory()
		if err != nil {
			return err
		}
		r.found.add("memory, idle", s.name, idle)
		if err := r.meet(ctx, s, max(r.threads, 2*lanes*2)); err != nil {
			return err
		}
	}
	for _, s := range systems {
		if _, err := r.saturate(ctx, s, r.threads, warmUp); err != nil {
			return err
		}
	}
	for round := range r.rounds {
		for _, s := range systems {
			if err := r.one(ctx, s, round); err != nil {
				return err
			}
		}
	}
	return r.slowUpstream(ctx, systems)
}

// start runs the floors, and what is compared with them after these.
func (r *run) start(ctx context.Context, dir string) ([]*system, error) {
	var systems []*system
	for _, name := range []string{"proxy", "relay", "floor"} {
		s, err := startPart(ctx, name, "-upstream", r.upstream, "-file", filepath.Join(dir, "floor.log"))
		if err != nil {
			return systems, err
		}
		systems = append(systems, s)
	}
	for _, p := range r.bridges {
		own, err := r.journalDir("compare-" + p.name)
		if err != nil {
			return systems, err
		}
		s, cold, err := startBridge(ctx, p, own, r.upstream, r.profiled(p)...)
		if err != nil {
			return systems, err
		}
		r.found.add("cold start", p.name, cold.Seconds())
		systems = append(systems, s)
	}
	if r.replicas > 0 {
		s, err := r.startReplicas(ctx)
		if err != nil {
			return systems, err
		}
		systems = append(systems, s)
	}
	return systems, nil
}

// one takes all measurements of one system once.
func (r *run) one(ctx context.Context, s *system, round int) error {
	lasting := s.name == "floor" || s.isBridge()
	for _, part := range []struct {
		wanted bool
		do     func() error
	}{
		{r.wants(saturatedPart), func() error { return r.measureSaturated(ctx, s, round) }},
		{r.wants(steadyPart), func() error { return r.measureSteady(ctx, s) }},
		{lasting && r.wants(notificationsPart), func() error {
			took, err := r.notifications(ctx, s, r.stage/2)
			r.percentiles("notified", s, took)
			return err
		}},
		{lasting && r.wants(troublePart), func() error {
			delivered, err := r.trouble(ctx, s, r.stage)
			r.found.add("delivered/s, trouble", s.name, delivered)
			return err
		}},
	} {
		if !part.wanted {
			continue
		}
		if err := part.do(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) measureSaturated(ctx context.Context, s *system, round int) error {
	stop := r.profiling(ctx, s, round)
	full, err := r.saturate(ctx, s, r.threads, r.stage)
	stop()
	if err != nil {
		return err
	}
	r.found.add("delivered/s", s.name, full.perSecond)
	r.found.add("CPU per 1000", s.name, full.cpuPer1000.Seconds()*1000)
	if s.database != nil {
		r.found.add("CPU of PostgreSQL per 1000", s.name, full.database.Seconds()*1000)
	}
	r.found.add("written", s.name, full.each.written/1000)
	if s.isBridge() {
		r.found.add("allocations", s.name, full.each.allocations)
		r.found.add("allocated", s.name, full.each.allocated/1000)
	}
	if full.lost > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s: %d of %d accepted messages did not arrive in time", s.name, full.lost, full.count+full.lost))
	}
	return nil
}

func (r *run) measureSteady(ctx context.Context, s *system) error {
	even, err := r.steady(ctx, s, r.stage)
	if err != nil {
		return err
	}
	r.percentiles("accepted", s, even.accepted)
	r.percentiles("arrived", s, even.arrived)
	r.percentiles("typing", s, even.typing)
	r.percentiles("held typing", s, even.held)
	r.found.add("typing passed on", s.name, float64(len(even.typing))/float64(max(even.typed, 1)))
	return nil
}

func (r *run) percentiles(what string, s *system, values []time.Duration) {
	r.found.add(what+" p50", s.name, percentile(values, 0.5).Seconds()*1000)
	r.found.add(what+" p99", s.name, percentile(values, 0.99).Seconds()*1000)
}

// profiled are the settings of a program that is to be profiled.
func (r *run) profiled(p program) []string {
	if r.profile == "" || p.name != "bridge" {
		return nil
	}
	return []string{"LPBRIDGE_ADMIN_PROFILES=true"}
}

// profiling writes a CPU profile of lpbridge's first round, when asked to, and what
// is allocated meanwhile.
func (r *run) profiling(ctx context.Context, s *system, round int) (stop func()) {
	if r.profile == "" || s.name != "bridge" || round > 0 {
		return func() {}
	}
	var taken errgroup.Group
	for kind, file := range map[string]string{"profile": r.profile, "allocs": r.profile + ".allocs"} {
		taken.Go(func() error {
			return download(ctx, fmt.Sprintf("%s/debug/pprof/%s?seconds=%d", s.admin, kind, max(1, int(r.stage.Seconds()))), file)
		})
	}
	return func() {
		if err := taken.Wait(); err != nil {
			r.notes = append(r.notes, "no profile: "+err.Error())
		}
	}
}

func download(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

// slowUpstream compares lpbridge with the durable floor where LivePerson takes
// its time.
func (r *run) slowUpstream(ctx context.Context, systems []*system) error {
	if r.slow == 0 || !r.wants(slowPart) {
		return nil
	}
	if err := r.control(ctx, "latency?d="+r.slow.String()); err != nil {
		return err
	}
	for _, s := range systems[2:] {
		full, err := r.saturate(ctx, s, 2*lanes*2, r.stage)
		if err != nil {
			return err
		}
		r.found.add("delivered/s, slow upstream", s.name, full.perSecond)
	}
	return r.control(ctx, "latency?d=0s")
}

// each has one program after the other do something.
func (r *run) each(do func(context.Context, program) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, p := range r.bridges {
			if err := do(ctx, p); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	}
}

// manyThreads looks at what threads cost that are only known.
func (r *run) manyThreads(ctx context.Context, p program) (err error) {
	dir, err := r.journalDir("known-" + p.name)
	if err != nil {
		return err
	}
	bridge, _, err := startBridge(ctx, p, dir, r.upstream, r.profiled(p)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bridge.end()) }()
	// The memory of a process that has worked, so that only the threads differ.
	if _, err := r.pour(ctx, bridge, 5000, 100); err != nil {
		return err
	}
	if err := pause(ctx, r.stage/2); err != nil {
		return err
	}
	before, err := bridge.memory()
	if err != nil {
		return err
	}
	if _, err := r.pour(ctx, bridge, r.known, r.known); err != nil {
		return err
	}
	if err := pause(ctx, r.stage/2); err != nil {
		return err
	}
	after, err := bridge.memory()
	if err != nil {
		return err
	}
	if len(r.profiled(p)) > 0 {
		if err := download(ctx, bridge.admin+"/debug/pprof/heap?gc=1", r.profile+".heap"); err != nil {
			r.notes = append(r.notes, "no profile: "+err.Error())
		}
	}
	idle, err := r.idleCPU(ctx, bridge)
	if err != nil {
		return err
	}
	few, err := r.saturate(ctx, bridge, 100, r.stage)
	if err != nil {
		return err
	}
	stop := r.profiling(ctx, bridge, 0)
	many, err := r.saturate(ctx, bridge, r.known, r.stage)
	stop()
	if err != nil {
		return err
	}
	r.found.add("memory, known threads", p.name, after-before)
	r.found.add("idle CPU, % of a core", p.name, 100*idle.Seconds()/r.stage.Seconds())
	r.found.add("CPU per 1000, few threads", p.name, few.cpuPer1000.Seconds()*1000)
	r.found.add("CPU per 1000, known threads", p.name, many.cpuPer1000.Seconds()*1000)
	return nil
}

// idleCPU is what a process uses of the CPU while nothing happens for a stage.
func (r *run) idleCPU(ctx context.Context, s *system) (time.Duration, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, r.stage); err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return after - before, err
}

// restart looks at a backlog: what it takes in memory, and how soon lpbridge is
// back at work with it.
func (r *run) restart(ctx context.Context, p program) (err error) {
	dir, err := r.journalDir("pending-" + p.name)
	if err != nil {
		return err
	}
	// A part of what may be pending is set aside for the other direction.
	room := fmt.Sprintf("LPBRIDGE_MAX_PENDING=%d", 2*r.pending)
	// One delivery at a time, which hangs, leaves the lanes untried and thus
	// free to start at once after the restart.
	bridge, _, err := startBridge(ctx, p, dir, r.upstream, room, "LPBRIDGE_MAX_IN_FLIGHT=1", "LP_TIMEOUT=200ms", "LPBRIDGE_SHUTDOWN_TIMEOUT=5s")
	if err != nil {
		return err
	}
	if err := r.control(ctx, "stall"); err != nil {
		return errors.Join(err, bridge.end())
	}
	before, err := bridge.memory()
	if err == nil {
		err = r.pourOnly(ctx, bridge, r.pending, r.threads)
	}
	var filled float64
	if err == nil {
		err = pause(ctx, r.stage/2)
	}
	if err == nil {
		filled, err = bridge.memory()
	}
	if err = errors.Join(err, bridge.end(), r.control(ctx, "release"), r.control(ctx, "reset")); err != nil {
		return err
	}
	bridge, ready, err := startBridge(ctx, p, dir, r.upstream, room)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bridge.end()) }()
	readyAt := time.Now()
	arrived, err := r.drain(ctx, 1)
	if err != nil {
		return err
	}
	r.found.add("memory, pending", p.name, filled-before)
	r.found.add("restart, ready", p.name, ready.Seconds())
	r.found.add("restart, first delivery", p.name, max(0, time.Unix(0, arrived.First).Sub(readyAt).Seconds()))
	return nil
}
