// Package bridge is the domain of lpbridge: it takes what consumers do on a
// third-party channel to LivePerson and what agents do in LivePerson back to
// the channel, in order, durably, and with typing translated between clocks.
//
// # Words
//
//   - account: one LivePerson site; one per process.
//   - channel: a third-party system or client protocol, as configured.
//   - adapter: our code for a channel; one folder below this one.
//   - consumer: the person on the channel.
//   - thread: the channel's conversation id. One thread has at most one open
//     LivePerson conversation.
//   - conversation, dialog: LivePerson's. A conversation has a main dialog and
//     maybe a survey dialog.
//   - event: one thing to relay, such as a message, a receipt or a close.
//   - lane: the ordered queue of one thread in one direction.
//   - direction: [ToLivePerson] or [ToChannel]. The words inbound and outbound
//     flip with the reader and are not used.
//   - journal: the durable store of accepted events, threads and records.
//   - delivery: one try to hand an event to the far side.
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
