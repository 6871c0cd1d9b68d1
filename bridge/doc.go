// Package bridge is the contract between the engine, which relays, and its
// surroundings: the adapters of channels on one side, the journal on the other.
// It has the events, what a channel can do and must do, the rows that are kept,
// and how a delivery may end. It relays nothing itself, and knows no channel and
// no store by name.
//
// # Words
//
//   - account: one LivePerson site; one per process.
//   - channel: a third-party system or client protocol, as configured.
//   - adapter: our code for a channel; one folder below this one.
//   - consumer: who writes on the channel, as far as that is proven.
//   - person: the human being, who may be several consumers.
//   - thread: the channel's conversation id. One thread has at most one open
//     LivePerson conversation.
//   - conversation, dialog: LivePerson's. A conversation has a main dialog and
//     maybe a survey dialog; it belongs to one thread at a time, and a thread has
//     many over time.
//   - position: dialog and sequence, where LivePerson put something.
//   - event: one thing to relay, such as a message, a receipt or a close.
//   - part: one piece of an event that LivePerson takes with one call.
//   - direction: [ToLivePerson] or [ToChannel]. The words inbound and outbound
//     flip with the reader and are not used.
//   - journal: the durable store of accepted events, threads and records.
//   - entry: an event, or a part of one, as the journal keeps it.
//   - lane: the ordered queue of one thread in one direction.
//   - delivery: one try to hand an entry to the far side.
//   - answer: what a request gets, from a far side or from us. In a survey it is
//     LivePerson's word for what the consumer says.
//   - refusal: that a far side says no to an event in its own words, so that it
//     would say so again.
//   - outcome: how a delivery ended, of a fixed few ([Outcome]).
//   - verdict: what the engine decides about an entry after a delivery.
//   - judge: to come to a verdict. In random lives, the judge decides whether the
//     promise held.
//   - settlement: that decision on its way to the journal.
//   - begun: said of an entry that may be sent from now on; written before it is.
//   - doubt: state of an entry that may have arrived though nobody said so.
//   - echo: a consumer's own message as LivePerson tells us of it.
//   - ledger: where every message of ours lies in LivePerson.
//   - opening: the asking for a conversation, until its id is known.
//   - unclaimed: what LivePerson said of a conversation nobody knows; claiming
//     takes it when the owner is known.
//   - lease: what the typing clock knows of one typist and one far side.
//   - far side: LivePerson or a channel, as who delivers sees it.
//   - parked: said of a lane that waits until its far side is well again, and of
//     the end of typing that waits for it; a probe is the delivery that finds out.
//   - poison: an entry that fails as if the far side were down, while others pass.
//   - dead letter: an entry that is given up, kept for the operator.
//   - limiter: what slows down deliveries to one far side.
//   - step: one thing a scenario does.
//   - mark: what is on disk of composing that a far side was told of.
//   - replica: one of the processes that share a journal on PostgreSQL; the owner is the
//     one whose it is, the others are standbys. A peer is a replica as another one sees it.
//   - hand on: to pass a request from a standby to the owner. Requests are held while there
//     is none.
//   - slot: room for one of those that may be under way at once.
//
// # Promise
//
// An event is accepted when the journal has it on disk, and only then the
// channel or LivePerson is answered 2xx. Accepted events of one lane arrive in
// the order of acceptance, and each arrives once, except where a delivery was
// sent and its answer lost and the far side gives no way to find out.
//
// Typing is not an event of the journal: it lives in memory, is never retried
// when stale, and always ends.
package bridge
