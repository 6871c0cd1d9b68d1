package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tableHead heads the rows of runs with replicas.
const tableHead = `| seed | replicas | messages each way | kills | take-overs | nobody served, p50, p99, max | lost | out of order | twice | echo withheld | typing left | drained after |
|---|---|---|---|---|---|---|---|---|---|---|---|`

// row is one run as a line of a table.
func (w *world) row() string {
	t := w.found.tally
	kills, takeOvers, _ := w.fleet.blowsByKind()
	return fmt.Sprintf("| %d | %d | %d | %s | %d | %s | %d | %d | %d | %d | %d | %.1f s |", w.seed, w.replicas, w.consumers.accepted.Load(), kills, takeOvers,
		distribution(w.fleet.unserved()), t.lost, t.reordered, t.twice, t.withheld, t.agentSees+t.channelShows, w.drained.Seconds())
}

// summariseReplicas writes down what happened to the replicas and who asked them.
func (w *world) summariseReplicas() {
	kills, takeOvers, byKind := w.fleet.blowsByKind()
	n := w.found.note
	n("kills by kind", kills)
	n("take-overs, replicas that ended as deposed", fmt.Sprintf("%d, %d", takeOvers, w.fleet.ended()))
	n("nobody served at a take-over, p50, p99, max", distribution(w.fleet.unserved()))
	for _, line := range byKind {
		n("  "+line.name, line.value)
	}
}

// blowsByKind counts what was struck, and how often another replica took over.
func (f *fleet) blowsByKind() (kills string, takeOvers int64, lines []fact) {
	count, gaps, taken := map[string]int{}, map[string][]time.Duration{}, map[string]int64{}
	for _, s := range f.history {
		count[s.kind]++
		gaps[s.kind] = append(gaps[s.kind], s.unserved)
		taken[s.kind] += s.takeOvers
		takeOvers += s.takeOvers
	}
	parts := []string{fmt.Sprint(len(f.history))}
	for _, k := range blowKinds {
		if count[k.name] == 0 {
			continue
		}
		parts = append(parts, fmt.Sprintf("%d %s", count[k.name], k.name))
		lines = append(lines, fact{k.name, fmt.Sprintf("%d, take-overs %d, nobody served %s", count[k.name], taken[k.name], distribution(gaps[k.name]))})
	}
	kills = parts[0]
	if len(parts) > 1 {
		kills += " (" + strings.Join(parts[1:], ", ") + ")"
	}
	return kills, takeOvers, lines
}

// unserved are how long nobody was served when another owner took over.
func (f *fleet) unserved() (gaps []time.Duration) {
	for _, s := range f.history {
		if s.takeOvers > 0 {
			gaps = append(gaps, s.unserved)
		}
	}
	return gaps
}

// distribution is the median, the 99th percentile and the longest.
func distribution(list []time.Duration) string {
	if len(list) == 0 {
		return "–"
	}
	list = slices.Sorted(slices.Values(list))
	at := func(share float64) float64 {
		return list[min(len(list)-1, int(share*float64(len(list))))].Seconds()
	}
	return fmt.Sprintf("%.1f, %.1f, %.1f s", at(0.5), at(0.99), at(1))
}
