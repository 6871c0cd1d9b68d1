// Package served holds what channels that serve a protocol themselves share:
// where the apps of consumers talk to us as if we were the service they were
// written for, and contacts, conversations and the history are ours to keep.
//
//   - [Kind] reads and writes the channel's own records as Go values, and
//     [Keep] makes them durable together with what LivePerson is told.
//   - [Cache] keeps decoded records at hand, bounded by bytes.
//   - [Mutexes] let one thing per key happen at a time, and a [Registry] has one
//     value per key as long as somebody holds it.
//   - [ContentOf] reads LivePerson's structured content as cards.
//   - [Sockets] are the WebSockets of a channel. Nobody who sends to one waits
//     for its reader, and a reader who does not keep up is closed.
//   - [Budget] bounds the bytes that many connections hold together, and [Rates] how
//     often one source does what anybody may do.
//
// It is assumed that one process serves a channel: caches are right only while
// nobody else writes the same records, and sockets hear of what happens in
// their own process.
package served
