package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// query evaluates an expression of Prometheus over what was scraped. It knows as much of
// the language as the alert rules use, and fails the test at anything else.
type query struct {
	t     *testing.T
	words []string
	taken []scrape
	at    time.Time
}

var promWords = regexp.MustCompile(`"[^"]*"|[a-z_]+|[0-9]+[smhd]|[0-9.]+|=~|!~|!=|==|>=|<=|\S`)

// evaluate returns what an expression finds at a time.
func evaluate(t *testing.T, expression string, taken []scrape, at time.Time) []series {
	t.Helper()
	q := &query{t: t, words: promWords.FindAllString(expression, -1), taken: taken, at: at}
	found := q.comparison()
	if len(q.words) > 0 {
		t.Fatalf("%s: not understood from %v", expression, q.words)
	}
	return found
}

func (q *query) peek() string {
	if len(q.words) == 0 {
		return ""
	}
	return q.words[0]
}

func (q *query) next() string {
	word := q.peek()
	if word == "" {
		q.t.Fatal("an expression ends too early")
	}
	q.words = q.words[1:]
	return word
}

func (q *query) want(words ...string) {
	for _, word := range words {
		if got := q.next(); got != word {
			q.t.Fatalf("an expression has %s, want %s", got, word)
		}
	}
}

// comparison leaves what compares true.
func (q *query) comparison() []series {
	left := q.sum()
	operator := q.peek()
	holds := map[string]func(a, b float64) bool{
		">": func(a, b float64) bool { return a > b }, "<": func(a, b float64) bool { return a < b }, "==": func(a, b float64) bool { return a == b },
	}[operator]
	if holds == nil {
		return left
	}
	q.next()
	var found []series
	for _, pair := range paired(left, q.sum()) {
		if holds(pair[0].value, pair[1].value) {
			found = append(found, pair[0])
		}
	}
	return found
}

func (q *query) sum() []series {
	left := q.product()
	for q.peek() == "-" {
		q.next()
		left = combined(left, q.product(), func(a, b float64) float64 { return a - b })
	}
	return left
}

func (q *query) product() []series {
	left := q.term()
	for q.peek() == "*" {
		q.next()
		left = combined(left, q.term(), func(a, b float64) float64 { return a * b })
	}
	return left
}

// scalar marks a value without series.
const scalar = "scalar"

func number(n float64) []series { return []series{{name: scalar, value: n}} }

// paired are the values of both sides that belong together: those of the same labels, or
// each and a number.
func paired(left, right []series) (pairs [][2]series) {
	for _, l := range left {
		for _, r := range right {
			switch {
			case l.name == scalar:
				l.labels = r.labels
			case r.name != scalar && !maps.Equal(l.labels, r.labels):
				continue
			}
			pairs = append(pairs, [2]series{l, r})
		}
	}
	return pairs
}

func combined(left, right []series, f func(a, b float64) float64) (all []series) {
	for _, pair := range paired(left, right) {
		name := ""
		if pair[0].name == scalar && pair[1].name == scalar {
			name = scalar
		}
		all = append(all, series{name, pair[0].labels, f(pair[0].value, pair[1].value)})
	}
	return all
}

func (q *query) term() []series {
	word := q.next()
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return number(n)
	}
	switch word {
	case "time":
		q.want("(", ")")
		return number(float64(q.at.UnixNano()) / float64(time.Second))
	case "sum":
		q.want("by", "(")
		var labels []string
		for q.peek() != ")" {
			if label := q.next(); label != "," {
				labels = append(labels, label)
			}
		}
		q.want(")", "(")
		inner := q.comparison()
		q.want(")")
		return summed(inner, labels)
	case "rate", "increase":
		q.want("(")
		grown := q.growth(q.next())
		q.want(")")
		return grown
	case "histogram_quantile":
		q.want("(")
		quantile := q.term()[0].value
		q.want(",")
		buckets := q.comparison()
		q.want(")")
		return quantiles(quantile, buckets)
	}
	return q.selected(word)
}

// matchers reads the braces behind a name.
func (q *query) matchers() func(map[string]string) bool {
	fits := func(map[string]string) bool { return true }
	if q.peek() != "{" {
		return fits
	}
	for q.next() != "}" {
		label, operator, quoted, outer := q.next(), q.next(), strings.Trim(q.next(), `"`), fits
		pattern := regexp.MustCompile("^(?:" + quoted + ")$")
		if !strings.HasSuffix(operator, "~") {
			pattern = regexp.MustCompile("^" + regexp.QuoteMeta(quoted) + "$")
		}
		fits = func(labels map[string]string) bool {
			return outer(labels) && pattern.MatchString(labels[label]) != strings.HasPrefix(operator, "!")
		}
	}
	return fits
}

// selected are the values of a metric in the last scrape.
func (q *query) selected(name string) (all []series) {
	fits := q.matchers()
	if len(q.taken) == 0 {
		return nil
	}
	for _, s := range q.taken[len(q.taken)-1].series {
		if s.name == name && fits(s.labels) {
			all = append(all, s)
		}
	}
	return all
}

// growth is how much counters grew within a time. One that is there but once has not
// grown, as for Prometheus: what it counted before it was first seen is not known.
func (q *query) growth(name string) (all []series) {
	fits := q.matchers()
	q.want("[")
	within, err := time.ParseDuration(q.next())
	if err != nil {
		q.t.Fatal(err)
	}
	q.want("]")
	first, seen := map[string]float64{}, map[string]bool{}
	for i, scrape := range q.taken {
		if q.at.Sub(scrape.at) > within {
			continue
		}
		for _, s := range scrape.series {
			key := fmt.Sprint(s.labels)
			if s.name != name || !fits(s.labels) {
				continue
			}
			if !seen[key] {
				first[key], seen[key] = s.value, true
			} else if i == len(q.taken)-1 {
				all = append(all, series{"", s.labels, s.value - first[key]})
			}
		}
	}
	return all
}

func summed(inner []series, labels []string) (all []series) {
	for _, s := range inner {
		kept := map[string]string{}
		for _, label := range labels {
			if s.labels[label] != "" {
				kept[label] = s.labels[label]
			}
		}
		i := slices.IndexFunc(all, func(one series) bool { return maps.Equal(one.labels, kept) })
		if i < 0 {
			i, all = len(all), append(all, series{labels: kept})
		}
		all[i].value += s.value
	}
	return all
}

// quantiles are those of histograms, a straight line within the bucket where they lie.
func quantiles(quantile float64, buckets []series) (all []series) {
	type bucket struct{ upTo, count float64 }
	histograms := map[string][]bucket{}
	labels := map[string]map[string]string{}
	for _, s := range buckets {
		upTo, err := strconv.ParseFloat(s.labels["le"], 64)
		if err != nil {
			panic(err)
		}
		kept := maps.Clone(s.labels)
		delete(kept, "le")
		key := fmt.Sprint(kept)
		labels[key], histograms[key] = kept, append(histograms[key], bucket{upTo, s.value})
	}
	for key, h := range histograms {
		slices.SortFunc(h, func(a, b bucket) int { return int(math.Copysign(1, a.upTo-b.upTo)) })
		rank, low, below := quantile*h[len(h)-1].count, 0.0, 0.0
		if h[len(h)-1].count == 0 {
			continue
		}
		value := h[max(0, len(h)-2)].upTo
		for _, b := range h[:len(h)-1] {
			if b.count >= rank {
				value = low + (b.upTo-low)*(rank-below)/(b.count-below)
				break
			}
			low, below = b.upTo, b.count
		}
		all = append(all, series{"", labels[key], value})
	}
	return all
}

// TestQueriesAreEvaluated as Prometheus documents them.
func TestQueriesAreEvaluated(t *testing.T) {
	t.Parallel()
	now := time.Now()
	bucket := func(le string, n float64) series {
		return series{"h_bucket", map[string]string{"le": le, "channel": "c"}, n}
	}
	taken := []scrape{
		{now.Add(-20 * time.Minute), []series{{"c_total", map[string]string{"channel": "c", "reason": "x"}, 0}}},
		{now.Add(-time.Minute), []series{
			{"c_total", map[string]string{"channel": "c", "reason": "x"}, 5}, {"g", map[string]string{}, 7}, bucket("1", 0), bucket("2", 0), bucket("+Inf", 0),
		}},
		{now, []series{
			{"c_total", map[string]string{"channel": "c", "reason": "x"}, 8}, {"c_total", map[string]string{"channel": "c", "reason": "new"}, 4},
			{"g", map[string]string{}, 9}, {"limit", map[string]string{}, 16}, bucket("1", 90), bucket("2", 100), bucket("+Inf", 100),
			{"then", map[string]string{"channel": "c"}, float64(now.Add(-3 * time.Minute).Unix())},
		}},
	}
	for expression, want := range map[string]string{
		`g > 8`: "9", `g > 9`: "", `g == 9`: "9", `g > 0.5 * limit`: "9", `g > 0.6 * limit`: "", `g < 3 * 4`: "9", `nothing == 0`: "",
		`increase(c_total[10m]) > 0`: "3", `increase(c_total{reason="new"}[10m]) > 0`: "", `increase(c_total[30m]) > 0`: "8",
		`sum by (channel) (increase(c_total{channel!~"d|e",reason=~"x|y"}[10m])) > 0`: "3", `increase(c_total{channel!~"c|e"}[10m]) > 0`: "",
		`histogram_quantile(0.95, sum by (le) (rate(h_bucket[5m]))) > 1`: "1.5", `histogram_quantile(0.45, rate(h_bucket[5m]))`: "0.5",
		`time() - then > 120`: "180", `time() - then > 200`: "", `then - time() < 60`: "-180",
	} {
		var got []string
		for _, s := range evaluate(t, expression, taken, now.Truncate(time.Second)) {
			got = append(got, fmt.Sprint(s.value))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s found %v, want %s", expression, got, want)
		}
	}
	if found := evaluate(t, `histogram_quantile(0.95, rate(h_bucket[5m]))`, taken[:2], now); len(found) > 0 {
		t.Errorf("nothing observed, and found %v", found)
	}
}
