package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/console"
	"lpbridge/connector/lpsim"
)

// adminTime bounds one look at the admin listener.
const adminTime = 5 * time.Second

// admin reads a page of the admin listener.
func (d *daemon) adminGet(ctx context.Context, path string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.adminAddress()+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", path, resp.StatusCode)
	}
	return read(resp.Body)
}

func (d *daemon) status(ctx context.Context) (bridge.Status, error) {
	var s bridge.Status
	err := d.adminGet(ctx, "/status", func(r io.Reader) error { return json.NewDecoder(r).Decode(&s) })
	return s, err
}

func (d *daemon) deadLetters(ctx context.Context) ([]console.Letter, error) {
	var page console.Page
	err := d.adminGet(ctx, "/deadletters", func(r io.Reader) error { return json.NewDecoder(r).Decode(&page) })
	return page.DeadLetters, err
}

// owns asks a replica whether it may act on the journal, and for which time its epoch.
func (d *daemon) owns(ctx context.Context) (owns bool, epoch int64) {
	if d.adminAddress() == "" {
		return false, 0
	}
	err := d.adminGet(ctx, "/metrics", func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), " ")
			switch name {
			case "lpbridge_journal_owner":
				owns = value == "1"
			case "lpbridge_journal_epoch":
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return err
				}
				epoch = int64(n)
			}
		}
		return lines.Err()
	})
	return owns && err == nil, epoch
}

// counters adds up metrics over the lives of lpbridge. What a life counted
// after its last look is lost with it.
type counters struct {
	mu    sync.Mutex
	past  map[string]float64
	last  map[string]float64
	admin string
}

// counted are the metrics that are summed up over their labels.
var counted = []string{"lpbridge_echoes_settled_total", "lpbridge_events_duplicate_total", "lpbridge_events_refused_total"}

func (c *counters) watch(ctx context.Context, d *daemon) {
	c.past, c.last = map[string]float64{}, map[string]float64{}
	for pause(ctx, lookPause) == nil {
		admin := d.adminAddress()
		if admin == "" {
			continue
		}
		sums := map[string]float64{}
		if d.adminGet(ctx, "/metrics", func(r io.Reader) error { return sum(r, sums) }) != nil {
			continue
		}
		c.mu.Lock()
		if admin != c.admin {
			for name, v := range c.last {
				c.past[name] += v
			}
			c.admin = admin
		}
		c.last = sums
		c.mu.Unlock()
	}
}

// sum adds up the counted metrics of a scrape; deliveries by their outcome.
func sum(r io.Reader, into map[string]float64) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		base, labels, _ := strings.Cut(name, "{")
		if slices.Contains(counted, base) {
			into[base] += v
		}
		if _, rest, ok := strings.Cut(labels, `outcome="`); ok && base == "lpbridge_deliveries_total" {
			outcome, _, _ := strings.Cut(rest, `"`)
			into["deliveries that ended as "+outcome] += v
		}
	}
	return lines.Err()
}

func (c *counters) totals() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	totals := maps.Clone(c.past)
	for name, v := range c.last {
		totals[name] += v
	}
	return totals
}

// messagesOf returns what the channel shows of a thread.
func (c *channel) messagesOf(thread string) []arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ensureThread(thread).messages)
}

func (p *proxy) promises() map[position]promise {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.taken)
}

func (p *proxy) echoed() map[position]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.echoes)
}

// summarise writes down what happened, and first what really went wrong.
func (w *world) summarise(stats lpsim.Stats) {
	n := w.found.note
	n("messages accepted from consumers", w.consumers.accepted.Load())
	n("messages of agents to the channel", w.agents.sent.Load())
	n("kills", w.killer.summary())
	if w.store == onPostgres {
		w.summariseReplicas()
	}
	n("outages of LivePerson, calls in them", fmt.Sprintf("%s; %d", describe(w.faults.Outages, w.stormed), stats.LostInOutages))
	n("LivePerson: answers lost, of CONVERSATION and SEND", fmt.Sprintf("%d, %d and %d", stats.LostAnswers,
		stats.LostAnswersOf[lpsim.ConversationAPI], stats.LostAnswersOf[lpsim.SendAPI]))
	n("LivePerson: requests lost", stats.LostRequests)
	n("LivePerson: applied and answered 5xx", stats.AppliedErrors)
	n("LivePerson: applied and lpbridge gone", stats.Abandoned)
	n("LivePerson: conversations", stats.Conversations)
	n("LivePerson: notifications, refused, repeated", fmt.Sprintf("%d, %d, %d", stats.Webhooks.Attempts, w.proxy.refused, stats.Webhooks.Retried))
	n("LivePerson: duplicated, reordered, delayed", fmt.Sprintf("%d, %d, %d", stats.Webhooks.Duplicated, stats.Webhooks.Reordered, stats.Webhooks.Delayed))
	n("acceptances LivePerson never heard of", w.proxy.forgotten)
	n("requests consumers had to repeat", w.consumers.retries.Load())
	n("requests repeated after their acceptance", w.consumers.late.Load())
	n("channel: answers lost, repeats it dropped", fmt.Sprintf("%d, %d", w.channel.lost, w.channel.repeats))
	n("channel: typing events", w.channel.typing)
	totals := map[string]float64{}
	for i := range w.counters {
		for name, v := range w.counters[i].totals() {
			totals[name] += v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(totals)) {
		n(strings.TrimPrefix(name, "lpbridge_")+", at least", totals[name])
	}
	if w.channel.unsigned > 0 {
		w.breaks("the channel refused %d requests that were not signed or not events", w.channel.unsigned)
	}
}
