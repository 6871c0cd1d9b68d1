// Package journal keeps what the bridge must not forget: accepted events until
// they are delivered, the idempotency keys of those it has seen, threads,
// conversations and consumers, the ledger of where our messages are, changes
// nobody has claimed yet, the channels' records, dead letters. It implements
// [bridge.Journal] on SQLite, in one file that one process owns, and on PostgreSQL,
// in a database that one process owns at a time (pglease.go).
//
// The journal is the log, not the bus: a new event reaches its lane through the
// commit hook, from memory, and the database is read for events again only
// after a restart or when a lane holds more than fits in memory. Nothing is
// kept in memory here but counts and what waits to be written.
//
// # One flush for everybody
//
// One goroutine owns the one connection that writes. It takes all calls that
// wait (accepted events, ends of deliveries, threads, marks, records), runs
// their statements in one transaction, and commits; while the disk flushes, the
// next transaction gathers. Nobody is delayed to fill it, except what nobody
// waits for: a settlement rides along with the next transaction or is committed
// by itself after 2 ms, also when Durable is set, but not when it has a Next,
// for then its lane waits; the end of a composing mark after 20 ms.
// Storing an event and remembering its idempotency key are the same
// transaction, so that an event is never known without being there.
//
// # Few pages
//
// What SQLite writes are pages, each twice, so an event that dirties one page of
// each of three indexes costs more than all it holds. An event is one row at the
// end of its table, which its settlement overwrites in place. Idempotency keys
// are written in sorted runs (keys.go), an event that begins at once is in no
// index (afloat.go), and the ledger is sorted some thousands of entries at a
// time (ledger.go).
//
// # What a crash can lose
//
// With a write-ahead log and synchronous=FULL, nothing that was answered: an
// Append that returned, a settlement whose Durable was called, a thread, flag or
// record that was saved. That holds for a killed process as for a power cut, as
// far as the disk keeps its word when told to flush. It does not hold on network
// file systems.
//
// What can be lost is what nobody was told of yet: settlements and marks of the
// last milliseconds. Their events are pending again after the restart, and in
// doubt: an entry is marked as begun, with the number of the process, before it
// is sent, and a process that did not close its journal is remembered (see
// epochs.go). An Append that was cut off may or may not be there; the sender repeats it and
// meets its idempotency key.
//
// A disk that does not keep its word, or a database that came back without its
// log, is noticed at the next start and told (witness.go).
//
// # What errors mean
//
// No space, which a quota and a limit on the size of files are as well, ends
// nothing. Space is set aside before it is needed (space.go, on Linux, where the
// file system can): when no more can be had, nothing new is accepted, its
// callers get [bridge.ErrStorage], and what was accepted is delivered and
// settled in what was set aside. Where none can be, or all is used up, a
// transaction that finds none is undone; settlements and the ends of marks, which
// nobody would repeat, are kept in memory and tried again, and what could not be
// written when the journal is closed leaves its entries in doubt.
//
// A database whose files were deleted or replaced while it is open takes nothing
// until they are back: nobody would find it there.
//
// Any other error of the disk or the database ends the journal. After a failed
// fsync the kernel may drop the pages that could not be written and report the
// next fsync as a success, so nothing is tried again on the same files: every
// call fails with [bridge.ErrStorage], and [Journal.Failed] tells the process to
// exit and be started anew. For the same reason the log is copied into the
// database by our own checkpoints: SQLite's automatic ones swallow errors.
//
// What a database that is not in this process does to that, says fate.go: PostgreSQL
// may be away for a while, and a commit may take place though its answer is lost.
//
// # Time
//
// Times on disk are those of a clock that never jumps (clock.go). What waits
// and what is kept is measured by time that passed, so that a machine's clock
// that jumps, either way and by any amount, delays no delivery and deletes
// nothing early. While no process runs, at most twelve hours count.
//
// # Layout
//
// The tables are described in schema.go, every statement is in statements.go,
// what is particular to SQLite in sqlite.go, and to PostgreSQL in the files that begin
// with pg and in postgres.go. How a journal moves from one to the other is in the files that
// begin with transfer. Deleted content is
// overwritten in the pages that stay in use, and after an erasure the database is
// rewritten (scrub.go).
//
// # What is forgotten
//
//   - the content of delivered events: with the transaction that records it, or
//     after Options.Retention;
//   - idempotency keys: Options.DedupeRetention after the last of their run
//     came, and delivered events not before their keys are in a run, which is
//     within an hour after their retention at most;
//   - the ledger: 30 days after the message was delivered;
//   - channels' history: Options.HistoryRetention after it was first saved;
//   - conversations that ended, threads without an open conversation, pending
//     event or composing mark, and the texts of dead letters:
//     Options.HistoryRetention after they were last saved;
//   - consumers without a thread, and conversations that look open though
//     nothing was heard of them: after a year;
//   - unclaimed changes: after three days, if the bridge did not drop them, with
//     a line in the log;
//   - which processes were cut off: after 30 days.
//
// Old rows are looked for once an hour, those that lie scattered over their
// tables twice a day, a few at a time with pauses.
//
// A channel's name must not hold '<' or '>'.
package journal
