package journal

// Every statement of the journal is in this file, beside the layout it rests
// on. Statements keep to what SQLite and PostgreSQL share: ON CONFLICT, CASE,
// row-at-a-time updates by key, and ? for a parameter. What an engine does its
// own way (opening, pragmas, error codes, checkpoints) is in the engine's file.
//
// # Layout
//
// Times are microseconds since 1970, 0 for none.
//
//   - events holds what is to be relayed. A lane is written as channel, '>' or
//     '<' (towards LivePerson or towards the channel), thread. state is 0 for
//     pending, 1 for done, 2 for dead. Pending rows are found by lane through
//     events_pending, which holds nothing else and so stays as small as the
//     backlog. last is the name of the last outcome, ” before the first try.
//     settled is when the row became done or dead.
//   - dedupe holds a 16-byte hash of lane direction, channel and event id, the
//     seq it was given, and when it may be forgotten. It has no index besides
//     its key: a second one would be written with every event, and forgetting
//     walks the key in ranges instead.
//   - threads is one row per thread. saved orders rows that share a
//     conversation or consumer; the newest counts.
//   - sent maps a place in a dialog to the id the channel gave its message.
//   - records and record_keys are the channels' own books. keys repeats the
//     keys of a record, each preceded by its length as an uvarint, so that
//     reading and deleting a record need no second index.
//   - counters holds the highest number handed out, or set aside to be handed
//     out, per channel and kind.
//   - flags are the bridge's small facts; meta is the journal's own: 'clean' is
//     1 between an orderly close and the next start, 'seq' is the highest seq
//     given or set aside.
//
// Migrations only ever go forward. user_version counts those applied.
var migrations = []string{
	`
CREATE TABLE events (
	seq      INTEGER PRIMARY KEY,
	lane     TEXT    NOT NULL,
	id       TEXT    NOT NULL,
	kind     TEXT    NOT NULL,
	payload  BLOB    NOT NULL,
	accepted INTEGER NOT NULL,
	state    INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	next_try INTEGER NOT NULL,
	last     TEXT    NOT NULL,
	settled  INTEGER NOT NULL
);
CREATE INDEX events_pending ON events (lane, seq) WHERE state = 0;
CREATE INDEX events_dead ON events (seq) WHERE state = 2;

CREATE TABLE dedupe (
	hash    BLOB    PRIMARY KEY,
	seq     INTEGER NOT NULL,
	expires INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE threads (
	channel      TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	consumer     TEXT    NOT NULL,
	ext_consumer TEXT    NOT NULL,
	lp_consumer  TEXT    NOT NULL,
	conversation TEXT    NOT NULL,
	dialog       TEXT    NOT NULL,
	survey       TEXT    NOT NULL,
	former       TEXT    NOT NULL,
	open         INTEGER NOT NULL,
	announced    INTEGER NOT NULL,
	sequence     INTEGER NOT NULL,
	updated      INTEGER NOT NULL,
	joined       TEXT    NOT NULL,
	composing    INTEGER NOT NULL,
	saved        INTEGER NOT NULL,
	PRIMARY KEY (channel, id)
);
CREATE INDEX threads_conversation ON threads (conversation) WHERE conversation <> '';
CREATE INDEX threads_dialog ON threads (dialog) WHERE dialog <> '';
CREATE INDEX threads_survey ON threads (survey) WHERE survey <> '';
CREATE INDEX threads_former ON threads (former) WHERE former <> '';
CREATE INDEX threads_lp_consumer ON threads (lp_consumer) WHERE lp_consumer <> '';
CREATE INDEX threads_composing ON threads (saved) WHERE composing = 1;

CREATE TABLE sent (
	dialog   TEXT    NOT NULL,
	sequence INTEGER NOT NULL,
	source   TEXT    NOT NULL,
	saved    INTEGER NOT NULL,
	PRIMARY KEY (dialog, sequence)
) WITHOUT ROWID;

CREATE TABLE records (
	channel TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	id      INTEGER NOT NULL,
	parent  TEXT    NOT NULL,
	keys    BLOB    NOT NULL,
	data    BLOB    NOT NULL,
	saved   INTEGER NOT NULL,
	PRIMARY KEY (channel, kind, id)
);
CREATE INDEX records_parent ON records (channel, kind, parent, id);

CREATE TABLE record_keys (
	channel TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	name    TEXT    NOT NULL,
	id      INTEGER NOT NULL,
	PRIMARY KEY (channel, kind, name)
) WITHOUT ROWID;

CREATE TABLE counters (
	channel TEXT    NOT NULL,
	kind    TEXT    NOT NULL,
	last    INTEGER NOT NULL,
	PRIMARY KEY (channel, kind)
) WITHOUT ROWID;

CREATE TABLE flags (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE meta (
	name  TEXT    PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;
`,
}

// Names in meta.
const (
	metaClean = "clean"
	metaSeq   = "seq"
	// metaChecked is when Check last wrote.
	metaChecked = "checked"
)

// statement names one statement.
type statement int

// The statements of the writer. deletePending serves a journal that keeps no
// delivered events, finishPending one that does.
const (
	begin statement = iota
	commit
	rollback
	insertDedupe
	insertEvent
	deletePending
	finishPending
	killPending
	retryPending
	deadEntry
	reviveDead
	discardDead
	insertSent
	raiseSequence
	upsertThread
	markThread
	upsertFlag
	upsertMeta
	findKey
	recordKeysOf
	upsertRecord
	deleteRecord
	insertKey
	deleteKey
	counterOf
	raiseCounter
	setCounter
	forgetDone
	forgetDedupe
	forgetSent
	writerStatements
)

// The statements of readers.
const (
	lanesAfter = writerStatements + iota
	pendingOf
	deadLetters
	threadByKey
	threadByConversation
	threadByConsumer
	composingThreads
	sentAs
	flagOf
	metaOf
	recordByID
	recordByKey
	recordsUp
	recordsDown
	countPending
	countDead
	doneBound
	dedupeBound
	sentBound
	expiredRecords
	recordBound
	allStatements
)

const threadColumns = `channel, id, consumer, ext_consumer, lp_consumer, conversation, dialog, survey, former, open, announced, sequence, updated, joined, composing`

const eventColumns = `seq, lane, id, kind, payload, accepted, attempts, next_try, last, settled`

const recordColumns = `id, parent, keys, data, saved`

var text = [allStatements]string{
	begin:    `BEGIN IMMEDIATE`,
	commit:   `COMMIT`,
	rollback: `ROLLBACK`,

	insertDedupe: `INSERT INTO dedupe (hash, seq, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
	insertEvent: `INSERT INTO events (seq, lane, id, kind, payload, accepted, state, attempts, next_try, last, settled)
		VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, 0)`,
	deletePending: `DELETE FROM events WHERE seq = ? AND state = 0`,
	finishPending: `UPDATE events SET state = 1, settled = ? WHERE seq = ? AND state = 0`,
	killPending:   `UPDATE events SET state = 2, attempts = ?, last = ?, settled = ? WHERE seq = ? AND state = 0`,
	retryPending:  `UPDATE events SET attempts = ?, next_try = ?, last = ? WHERE seq = ? AND state = 0`,
	deadEntry:     `SELECT ` + eventColumns + ` FROM events WHERE seq = ? AND state = 2`,
	reviveDead: `UPDATE events SET seq = ?, accepted = ?, state = 0, attempts = 0, next_try = 0, last = '', settled = 0
		WHERE seq = ? AND state = 2`,
	discardDead: `DELETE FROM events WHERE seq = ? AND state = 2`,

	insertSent: `INSERT INTO sent (dialog, sequence, source, saved) VALUES (?, ?, ?, ?)
		ON CONFLICT (dialog, sequence) DO UPDATE SET source = excluded.source`,
	raiseSequence: `UPDATE threads SET sequence = ? WHERE channel = ? AND id = ? AND dialog = ? AND sequence < ?`,
	upsertThread: `INSERT INTO threads (` + threadColumns + `, saved)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
		ON CONFLICT (channel, id) DO UPDATE SET
			consumer = excluded.consumer, ext_consumer = excluded.ext_consumer, lp_consumer = excluded.lp_consumer,
			conversation = excluded.conversation, dialog = excluded.dialog, survey = excluded.survey,
			former = excluded.former, open = excluded.open, announced = excluded.announced, updated = excluded.updated, joined = excluded.joined, saved = excluded.saved,
			sequence = CASE WHEN threads.dialog = excluded.dialog AND threads.sequence > excluded.sequence
				THEN threads.sequence ELSE excluded.sequence END`,
	markThread: `UPDATE threads SET composing = ? WHERE channel = ? AND id = ? AND composing <> ?`,

	upsertFlag: `INSERT INTO flags (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
	upsertMeta: `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,

	findKey:      `SELECT id FROM record_keys WHERE channel = ? AND kind = ? AND name = ?`,
	recordKeysOf: `SELECT keys FROM records WHERE channel = ? AND kind = ? AND id = ?`,
	upsertRecord: `INSERT INTO records (channel, kind, id, parent, keys, data, saved) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (channel, kind, id) DO UPDATE SET parent = excluded.parent, keys = excluded.keys, data = excluded.data`,
	deleteRecord: `DELETE FROM records WHERE channel = ? AND kind = ? AND id = ?`,
	insertKey: `INSERT INTO record_keys (channel, kind, name, id) VALUES (?, ?, ?, ?)
		ON CONFLICT (channel, kind, name) DO UPDATE SET id = excluded.id`,
	deleteKey: `DELETE FROM record_keys WHERE channel = ? AND kind = ? AND name = ?`,
	counterOf: `SELECT last FROM counters WHERE channel = ? AND kind = ?`,
	raiseCounter: `INSERT INTO counters (channel, kind, last) VALUES (?, ?, ?)
		ON CONFLICT (channel, kind) DO UPDATE SET last = excluded.last WHERE counters.last < excluded.last`,

	setCounter: `UPDATE counters SET last = ? WHERE channel = ? AND kind = ? AND last = ?`,

	forgetDone:   `DELETE FROM events WHERE seq > ? AND seq <= ? AND state = 1 AND settled < ?`,
	forgetDedupe: `DELETE FROM dedupe WHERE hash > ? AND hash <= ? AND expires < ?`,
	forgetSent:   `DELETE FROM sent WHERE dialog > ? AND dialog <= ? AND saved < ?`,

	// Each step jumps to the next lane through the index, so that a lane costs
	// the same with one event waiting as with a million.
	lanesAfter: `WITH RECURSIVE waiting (lane) AS (
			SELECT min(lane) FROM events WHERE state = 0 AND lane > ?
			UNION ALL
			SELECT (SELECT min(e.lane) FROM events e WHERE e.state = 0 AND e.lane > w.lane)
			FROM waiting w WHERE w.lane IS NOT NULL
		) SELECT lane FROM waiting WHERE lane IS NOT NULL LIMIT ?`,
	pendingOf:   `SELECT ` + eventColumns + ` FROM events WHERE state = 0 AND lane = ? AND seq > ? ORDER BY seq LIMIT ?`,
	deadLetters: `SELECT ` + eventColumns + ` FROM events WHERE state = 2 AND seq > ? ORDER BY seq LIMIT ?`,

	threadByKey: `SELECT ` + threadColumns + ` FROM threads WHERE channel = ? AND id = ?`,
	threadByConversation: `SELECT ` + threadColumns + ` FROM (
			SELECT ` + threadColumns + `, saved FROM threads WHERE conversation = ? AND conversation <> ''
			UNION ALL SELECT ` + threadColumns + `, saved FROM threads WHERE dialog = ? AND dialog <> ''
			UNION ALL SELECT ` + threadColumns + `, saved FROM threads WHERE survey = ? AND survey <> ''
			UNION ALL SELECT ` + threadColumns + `, saved FROM threads WHERE former = ? AND former <> ''
		) AS named ORDER BY saved DESC LIMIT 1`,
	threadByConsumer: `SELECT ` + threadColumns + ` FROM threads WHERE lp_consumer = ? AND lp_consumer <> ''
		ORDER BY saved DESC LIMIT 1`,
	composingThreads: `SELECT ` + threadColumns + ` FROM threads WHERE composing = 1 ORDER BY saved`,
	sentAs:           `SELECT source FROM sent WHERE dialog = ? AND sequence = ?`,

	flagOf: `SELECT value FROM flags WHERE name = ?`,
	metaOf: `SELECT value FROM meta WHERE name = ?`,

	recordByID: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND id = ?`,
	recordByKey: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ?
		AND id = (SELECT k.id FROM record_keys k WHERE k.channel = ? AND k.kind = ? AND k.name = ?)`,
	recordsUp: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND parent = ?
		AND id > ? AND id < ? ORDER BY id LIMIT ?`,
	recordsDown: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND parent = ?
		AND id > ? AND id < ? ORDER BY id DESC LIMIT ?`,

	countPending: `SELECT count(*) FROM events WHERE state = 0`,
	countDead:    `SELECT count(*) FROM events WHERE state = 2`,

	// The bounds cut a table into ranges of a thousand keys for the purge.
	doneBound:      `SELECT seq FROM events WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET 999`,
	dedupeBound:    `SELECT hash FROM dedupe WHERE hash > ? ORDER BY hash LIMIT 1 OFFSET 999`,
	sentBound:      `SELECT dialog FROM sent WHERE dialog > ? ORDER BY dialog LIMIT 1 OFFSET 999`,
	recordBound:    `SELECT id FROM records WHERE channel = ? AND kind = ? AND id > ? ORDER BY id LIMIT 1 OFFSET 999`,
	expiredRecords: `SELECT id FROM records WHERE channel = ? AND kind = ? AND id > ? AND id <= ? AND saved < ?`,
}
