package lpsim

import (
	"strconv"
	"sync/atomic"
)

// Stats counts since the start of the simulator.
type Stats struct {
	// Calls counts answers by API and HTTP status.
	Calls map[API]map[string]int64 `json:"calls"`
	// LostAnswers were applied and not answered, LostRequests neither; Abandoned were applied and no longer wanted.
	LostAnswers  int64 `json:"lostAnswers"`
	LostRequests int64 `json:"lostRequests"`
	Abandoned    int64 `json:"abandoned"`
	// AppliedErrors were applied and answered 5xx. Interposed answers were those of something in between.
	AppliedErrors int64 `json:"appliedErrors"`
	// LostAnswersOf are LostAnswers by API; LostInOutages were calls that met an outage.
	LostAnswersOf map[API]int64 `json:"lostAnswersOf"`
	LostInOutages int64         `json:"lostInOutages"`
	Interposed    int64         `json:"interposed"`
	// Forgotten conversations are those LivePerson forgot or gave to another consumer.
	Forgotten int64 `json:"forgotten"`
	// Conversations opened; ConsumerMessages, ChatStates and Receipts accepted from consumers.
	Conversations    int64 `json:"conversations"`
	ConsumerMessages int64 `json:"consumerMessages"`
	ChatStates       int64 `json:"chatStates"`
	Receipts         int64 `json:"receipts"`
	// DuplicateRequests had the id, DuplicateTexts the text, of an earlier message of their conversation.
	DuplicateRequests int64        `json:"duplicateRequests"`
	DuplicateTexts    int64        `json:"duplicateTexts"`
	Webhooks          WebhookStats `json:"webhooks"`
}

// WebhookStats counts notifications.
type WebhookStats struct {
	// State is up, failed, in transition, recovered (Webhooks Retry Policy), or disabled: that of the app installed first.
	State string `json:"state"`
	// Attempts were made; Delivered were answered 200 or 201, Refused otherwise, Failed not at all or too late.
	Attempts  int64 `json:"attempts"`
	Delivered int64 `json:"delivered"`
	Refused   int64 `json:"refused"`
	Failed    int64 `json:"failed"`
	// Slow took longer than webhookSlowMs. Retried attempts were not the first of their notification.
	Slow    int64 `json:"slow"`
	Retried int64 `json:"retried"`
	// Lost notifications will never be delivered: out of retries, past retention, disabled or too many stored.
	Lost int64 `json:"lost"`
	// Dropped, Duplicated, Reordered and Delayed are the faults' doing.
	Dropped    int64 `json:"dropped"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	Delayed    int64 `json:"delayed"`
	// Stored notifications wait for delivery now.
	Stored int64 `json:"stored"`
}

type stats struct {
	calls                                               [len(apis)][600]atomic.Int64
	lostAnswers                                         [len(apis)]atomic.Int64
	lostRequests, abandoned, lostInOutages              atomic.Int64
	appliedErrors, interposed, forgotten                atomic.Int64
	conversations, messages, chatStates, receipts       atomic.Int64
	duplicateRequests, duplicateTexts                   atomic.Int64
	attempts, delivered, refused, failed, slow, retried atomic.Int64
	lost, dropped, duplicated, reordered, delayed       atomic.Int64
}

func (c *stats) count(api API, status int) { c.calls[api.index()][status].Add(1) }

// Stats is the state of all counters.
func (s *Sim) Stats() Stats {
	out := s.app.stats.state()
	for i, client := range s.clients.all() {
		state, stored := client.hooks.status()
		if i == 0 {
			out.Webhooks.State = state
		}
		out.Webhooks.Stored += stored
	}
	return out
}

func (c *stats) state() Stats {
	out := Stats{
		Calls: map[API]map[string]int64{}, LostAnswersOf: map[API]int64{}, LostRequests: c.lostRequests.Load(), LostInOutages: c.lostInOutages.Load(),
		Abandoned: c.abandoned.Load(), AppliedErrors: c.appliedErrors.Load(), Interposed: c.interposed.Load(),
		Forgotten: c.forgotten.Load(), Conversations: c.conversations.Load(), ConsumerMessages: c.messages.Load(),
		ChatStates: c.chatStates.Load(), Receipts: c.receipts.Load(), DuplicateRequests: c.duplicateRequests.Load(),
		DuplicateTexts: c.duplicateTexts.Load(),
		Webhooks: WebhookStats{
			Attempts: c.attempts.Load(), Delivered: c.delivered.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(),
			Slow: c.slow.Load(), Retried: c.retried.Load(), Lost: c.lost.Load(), Dropped: c.dropped.Load(),
			Duplicated: c.duplicated.Load(), Reordered: c.reordered.Load(), Delayed: c.delayed.Load(),
		},
	}
	for i, api := range apis {
		out.Calls[api] = map[string]int64{}
		if n := c.lostAnswers[i].Load(); n > 0 {
			out.LostAnswersOf[api] = n
			out.LostAnswers += n
		}
		for status := range c.calls[i] {
			if n := c.calls[i][status].Load(); n > 0 {
				out.Calls[api][strconv.Itoa(status)] = n
			}
		}
	}
	return out
}
