package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// row is one line of the report.
type row struct {
	What string `json:"what"`
	// Value is lpbridge's, in Unit. Floor is what it is compared with, Ratio
	// their quotient; both are 0 where there is no floor.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor,omitempty"`
	Of    string  `json:"of,omitempty"`
	Ratio float64 `json:"ratio,omitempty"`
	Must  string  `json:"must"`
	Aim   string  `json:"aim"`
	// Met says whether what must be reached is.
	Met bool `json:"met"`
}

// target is what a measurement is held against; docs/performance.md lists them.
type target struct {
	what, key, unit, of string
	must, aim           float64
	// more says that more is better.
	more bool
	// against is what of the floor it is compared with, where that is something else.
	against string
}

// targets are ratios where there is a floor, and values where there is none.
func (r *run) targets() []target {
	return []target{
		{"delivered messages/s, saturated", "delivered/s", "/s", "proxy", 0.7, 1, true, ""},
		{"CPU per 1000 messages", "CPU per 1000", "ms", "floor", 1.5, 1.1, false, ""},
		{"written to disk per message, saturated", "written", "KB", "", 4, 1.5, false, ""},
		{"allocations per message", "allocations", "", "", 0, 0, false, ""},
		{"allocated per message", "allocated", "KB", "", 0, 0, false, ""},
		{"event to 2xx, p50", "accepted p50", "ms", "floor", 1.3, 1.1, false, ""},
		{"event to 2xx, p99", "accepted p99", "ms", "floor", 0, 0, false, ""},
		{"event to arrival, p50", "arrived p50", "ms", "floor", 1.3, 1.1, false, ""},
		{"event to arrival, p99", "arrived p99", "ms", "floor", 0, 0, false, ""},
		{"typing to arrival, p50", "typing p50", "ms", "floor", 1.3, 1.1, false, "arrived p50"},
		{"typing to arrival, p99", "typing p99", "ms", "floor", 2, 1.5, false, "arrived p99"},
		{"typing that had to wait, p50", "held typing p50", "ms", "", 0, 0, false, ""},
		{"notification to 200, p50", "notified p50", "ms", "floor", 1.3, 1.1, false, ""},
		{"notification to 200, p99", "notified p99", "ms", "floor", 2, 1.1, false, ""},
		{fmt.Sprintf("delivered/s, upstream of %s", r.slow), "delivered/s, slow upstream", "/s", "floor", 0.9, 1, true, ""},
		{fmt.Sprintf("delivered/s, 2 %% of 429 and of 500, %d/s", troubledRate), "delivered/s, trouble", "/s", "floor", 0.9, 1, true, ""},
		{"memory, idle", "memory, idle", "MiB", "", 25, 25, false, ""},
		{fmt.Sprintf("memory, %d threads more known", r.known), "memory, known threads", "MiB", "", 60, 20, false, ""},
		{fmt.Sprintf("memory, %d events pending", r.pending), "memory, pending", "MiB", "", 100, 30, false, ""},
		{"restart with them: ready", "restart, ready", "s", "", 1, 0.2, false, ""},
		{"restart with them: first delivery after", "restart, first delivery", "s", "", 0.5, 0.1, false, ""},
		{"idle CPU with the threads known", "idle CPU, % of a core", "%", "", 0.5, 0, false, ""},
		{"cold start to ready", "cold start", "s", "", 0.2, 0.1, false, ""},
	}
}

// measured are the targets there are values for, or should be.
func (r *run) measured() []target {
	return slices.DeleteFunc(r.targets(), func(t target) bool { return len(r.only) > 0 && len(r.found[t.key]) == 0 })
}

func (r *run) rows() []row {
	var rows []row
	for _, t := range r.measured() {
		rows = append(rows, t.row(r.found))
	}
	few := r.found.median("CPU per 1000, few threads", "bridge")
	many := r.found.median("CPU per 1000, known threads", "bridge")
	if r.wants(threadsPart) {
		rows = append(rows, held(row{
			What: fmt.Sprintf("CPU per 1000, %d threads against 100", r.known), Value: many, Unit: "ms", Floor: few, Of: "itself",
		}, target{must: 1.2, aim: 1}))
	}
	if info, err := os.Stat(r.bridges[0].path); err == nil {
		rows = append(rows, held(row{What: "binary", Value: float64(info.Size()) / (1 << 20), Unit: "MiB"}, target{must: 30, aim: 25}))
	}
	for _, name := range []string{"relay", "floor"} {
		if !r.wants(saturatedPart) {
			break
		}
		rows = append(rows, held(row{
			What: "for comparison: " + name + " delivered/s", Value: r.found.median("delivered/s", name), Unit: "/s",
			Floor: r.found.median("delivered/s", "proxy"), Of: "proxy",
		}, target{}))
	}
	return rows
}

// change is one measurement of one thing and of another.
type change struct {
	what, unit   string
	before, now  float64
	moreIsBetter bool
}

// changes has what both were measured for, without regard to floors.
func (r *run) changes(before, now string) []change {
	var list []change
	for _, t := range r.measured() {
		if len(r.found[t.key][before]) > 0 && len(r.found[t.key][now]) > 0 {
			list = append(list, change{t.what, t.unit, r.found.median(t.key, before), r.found.median(t.key, now), t.more})
		}
	}
	for _, also := range []struct{ key, what string }{
		{"CPU of PostgreSQL per 1000", "CPU of PostgreSQL per 1000 messages"},
		{"CPU per 1000, known threads", fmt.Sprintf("CPU per 1000, %d threads", r.known)},
	} {
		if len(r.found[also.key][now]) > 0 {
			list = append(list, change{also.what, "ms", r.found.median(also.key, before), r.found.median(also.key, now), false})
		}
	}
	return list
}

func printChanges(out io.Writer, before, now string, changes []change) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nwhat\t%s\t%s\tratio\tbetter is\t\n", before, now)
	for _, c := range changes {
		ratio, better := "", "less"
		if c.before > 0 {
			ratio = fmt.Sprintf("%.2f", c.now/c.before)
		}
		if c.moreIsBetter {
			better = "more"
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%.4g %s\t%s\t%s\t\n", c.what, c.before, c.unit, c.now, c.unit, ratio, better)
	}
	w.Flush()
}

func (t target) row(found series) row {
	out := row{What: t.what, Value: found.median(t.key, "bridge"), Unit: t.unit, Of: t.of}
	if t.of != "" {
		out.Floor = found.median(cmp.Or(t.against, t.key), t.of)
	}
	return held(out, t)
}

// held adds the ratio and the targets to a row.
func held(out row, t target) row {
	held := out.Value
	if out.Floor > 0 {
		out.Ratio = out.Value / out.Floor
		held = out.Ratio
	}
	out.Met = t.must == 0 || held <= t.must
	sign := "≤"
	if t.more {
		out.Met, sign = held >= t.must, "≥"
	}
	if t.must > 0 {
		out.Must, out.Aim = fmt.Sprintf("%s %g", sign, t.must), fmt.Sprintf("%s %g", sign, t.aim)
	}
	return out
}

func printRows(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nwhat\tlpbridge\tfloor\tratio\tmust\taim\t")
	for _, r := range rows {
		floor, ratio, missed := "", "", ""
		if r.Floor > 0 {
			floor, ratio = fmt.Sprintf("%.4g %s", r.Floor, r.Of), fmt.Sprintf("%.2f", r.Ratio)
		}
		if !r.Met {
			missed = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%s\t%s\t%s\t%s\n", r.What, r.Value, r.Unit, floor, ratio, r.Must, r.Aim, missed)
	}
	w.Flush()
}
