package journal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The layout of the database. Statements and migrations keep to what SQLite and
// PostgreSQL share. Times are microseconds since 1970, 0 for none; but for those
// that others gave us (records' saved, conversations' began and ended) they are
// those of the clock that never jumps, see clock.go.
//
//   - events holds what is to be relayed. A lane is written as channel, '>' or
//     '<' (towards LivePerson or towards the channel), thread. state is 0 for
//     pending, 1 for done, 2 for dead. Pending rows are found by lane through
//     events_pending, which holds nothing else and so stays as small as the
//     backlog; listed is 0 for those it does not have, see afloat.go. last is
//     the name of the last outcome, empty before the first try. settled is when
//     the row became done or dead, and before that when it was written, so that
//     the row does not grow. begun is the epoch of
//     the process that last began its delivery, 0 for none; doubt is since when
//     a settlement says it may have arrived, 0 for never, and dialogs, packed
//     as the keys of a record are, where. expired is 1 once a dead letter's
//     payload is gone.
//   - epochs are the processes that did not close their journal: found is when
//     that was found out, alive when the process last wrote.
//   - key_runs and key_parts hold the hashes of idempotency keys in sorted runs,
//     see keys.go; those of events above meta's 'keys' are in no run yet. dedupe
//     held them in the first schema and is empty once they expired.
//   - threads is one row per thread. saved orders rows by when they were saved;
//     it counts, so that a clock that was set back does no harm.
//   - conversations are LivePerson's, with the thread that holds each; dialogs
//     says whose a dialog is. created and saved count as those of threads do.
//     touched, here and in other tables, is when the row was last saved, or
//     first where it is history; what is old is told by it.
//   - consumers is what is known of each across threads.
//   - ledger maps a position to the message of ours that stands there; positions
//     are those that are not sorted in yet, see ledger.go.
//   - unclaimed are changes about conversations nobody knows.
//   - composing are the marks of who was told that somebody composes, by
//     direction as in a lane.
//   - records and record_keys are the channels' own stores. keys repeats the
//     keys of a record, each preceded by its length as an uvarint, so that
//     reading and deleting a record need no second index.
//   - counters holds the highest number handed out, or set aside to be handed
//     out, per channel and kind.
//   - flags are the bridge's small facts; meta is the journal's own, see its
//     names below.

// Names in meta.
const (
	// metaClean is 1 between an orderly close and the next start.
	metaClean = "clean"
	// metaSeq is the highest seq given or set aside.
	metaSeq = "seq"
	// metaRevision is the same for the numbers that order saved rows.
	metaRevision = "revision"
	// metaEpoch counts the processes that started the journal.
	metaEpoch = "epoch"
	// metaAlive is when the process last wrote, to about a second.
	metaAlive = "alive"
	// metaAhead is by how many microseconds the machine's clock was ahead of the
	// database's then.
	metaAhead = "ahead"
	// metaKeys is the last seq whose key is in a run, metaAfloat below all seqs
	// that are afloat.
	metaKeys   = "keys"
	metaAfloat = "afloat"
	// metaCounted is the epoch of the process that last wrote down, when it closed the
	// journal, how many events were pending; metaPendingOf comes before the names of
	// their lanes without a thread.
	metaCounted   = "counted"
	metaPendingOf = "pending:"
	uncounted     = -1
	// metaChecked is when Check last wrote.
	metaChecked = "checked"
	// metaForgotten is the last epoch that was forgotten, metaForgottenAt when it
	// was found to have ended out of order.
	metaForgotten   = "epochs_forgotten"
	metaForgottenAt = "epochs_forgotten_at"
	// metaScrub is 1 between an erasure and the end of its scrub.
	metaScrub = "scrub"
)

// migrations only ever go forward; the schema's version counts those applied.
// Each runs in the transaction that counts it. nowToken stands for the time.
var migrations = []string{schema1, schema2, schema3}

const nowToken = "{now}"

// unfinishedLayout is the schema's version of a database that [Transfer] fills and has not
// compared yet. Earlier releases take it for one of a later release, and leave it alone.
const unfinishedLayout = 1 << 30

var (
	errUnfinished = errors.New("lpbridge migrate-store began to fill this database and did not finish: run it again, or name another database")
	errNewer      = errors.New("a newer release of lpbridge wrote this database: run that release, or restore a backup from before")
)

// knownLayout says what keeps a database of a schema's version from being used by a program
// that knows them up to another.
func knownLayout(version, known int) error {
	switch {
	case version == unfinishedLayout:
		return errUnfinished
	case version > known:
		return fmt.Errorf("the database has schema version %d and this program knows up to %d: %w", version, known, errNewer)
	}
	return nil
}

// migration returns the statements of one with the time filled in.
func migration(text string, now time.Time) string {
	return strings.ReplaceAll(text, nowToken, strconv.FormatInt(micros(now), 10))
}

const schema1 = `
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
`

// schema2 gives doubt, conversations, consumers and the ledger rows of their
// own. Before it, one row of threads held the current conversation and the one
// before, a high-water mark of the sequences that are ours, and whether
// LivePerson was told COMPOSING; what was in doubt followed from how the last
// process ended, and then it was the first event of each lane.
const schema2 = `
ALTER TABLE events ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN dialogs BLOB NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
UPDATE events SET doubt = {now} WHERE state = 0 AND last = 'unknown';
UPDATE events SET doubt = {now} WHERE state = 0
	AND seq IN (SELECT min(e.seq) FROM events e WHERE e.state = 0 GROUP BY e.lane)
	AND (EXISTS (SELECT 1 FROM meta WHERE name = 'clean' AND value = 0)
		OR EXISTS (SELECT 1 FROM flags WHERE name = 'deliveries_in_doubt' AND value <> ''));

ALTER TABLE records ADD COLUMN touched INTEGER NOT NULL DEFAULT 0;
UPDATE records SET touched = saved;

ALTER TABLE events ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
DROP INDEX events_pending;
CREATE INDEX events_pending ON events (lane, seq) WHERE state = 0 AND listed = 1;

CREATE TABLE key_runs (
	id      INTEGER PRIMARY KEY,
	expires INTEGER NOT NULL,
	filter  BLOB    NOT NULL,
	firsts  BLOB    NOT NULL
);
CREATE TABLE key_parts (
	run  INTEGER NOT NULL,
	part INTEGER NOT NULL,
	keys BLOB    NOT NULL,
	PRIMARY KEY (run, part)
);

CREATE TABLE epochs (
	epoch INTEGER PRIMARY KEY,
	found INTEGER NOT NULL,
	alive INTEGER NOT NULL
);
INSERT INTO meta (name, value) SELECT 'revision', coalesce(max(saved), 0) FROM threads;
INSERT INTO meta (name, value) SELECT 'epoch', 1 FROM meta WHERE name = 'clean';

CREATE TABLE conversations (
	id           TEXT    PRIMARY KEY,
	channel      TEXT    NOT NULL,
	thread       TEXT    NOT NULL,
	ext_consumer TEXT    NOT NULL,
	lp_consumer  TEXT    NOT NULL,
	dialog       TEXT    NOT NULL,
	survey       TEXT    NOT NULL,
	open         INTEGER NOT NULL,
	announced    INTEGER NOT NULL,
	updated      INTEGER NOT NULL,
	joined       TEXT    NOT NULL,
	began        INTEGER NOT NULL,
	ended        INTEGER NOT NULL,
	created      INTEGER NOT NULL,
	saved        INTEGER NOT NULL,
	touched      INTEGER NOT NULL
);
CREATE INDEX conversations_thread ON conversations (channel, thread, began, created);
CREATE INDEX conversations_open ON conversations (lp_consumer, saved) WHERE open = 1 AND lp_consumer <> '';

CREATE TABLE dialogs (
	dialog       TEXT PRIMARY KEY,
	conversation TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX dialogs_conversation ON dialogs (conversation);

INSERT INTO conversations (id, channel, thread, ext_consumer, lp_consumer, dialog, survey, open, announced, updated, joined,
		began, ended, created, saved, touched)
	SELECT conversation, channel, id, ext_consumer, lp_consumer, dialog, survey, open, announced, updated, joined,
		0, 0, saved, saved, {now}
	FROM threads WHERE conversation <> '' ORDER BY saved DESC
	ON CONFLICT DO NOTHING;
INSERT INTO conversations (id, channel, thread, ext_consumer, lp_consumer, dialog, survey, open, announced, updated, joined,
		began, ended, created, saved, touched)
	SELECT former, channel, id, ext_consumer, lp_consumer, former, '', 0, 0, 0, '', 0, {now}, 0, 0, {now}
	FROM threads WHERE former <> '' ORDER BY saved DESC
	ON CONFLICT DO NOTHING;
UPDATE conversations SET ended = {now} WHERE open = 0;
UPDATE threads SET conversation = '' WHERE conversation <> '' AND NOT EXISTS (
	SELECT 1 FROM conversations c WHERE c.id = threads.conversation AND c.channel = threads.channel AND c.thread = threads.id);

INSERT INTO dialogs (dialog, conversation) SELECT dialog, id FROM conversations WHERE dialog <> '' ORDER BY saved DESC
	ON CONFLICT DO NOTHING;
INSERT INTO dialogs (dialog, conversation) SELECT survey, id FROM conversations WHERE survey <> '' ORDER BY saved DESC
	ON CONFLICT DO NOTHING;
INSERT INTO dialogs (dialog, conversation) SELECT id, id FROM conversations WHERE true ON CONFLICT DO NOTHING;

CREATE TABLE consumers (
	channel      TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	ext_consumer TEXT    NOT NULL,
	lp_consumer  TEXT    NOT NULL,
	profile      BLOB    NOT NULL,
	touched      INTEGER NOT NULL,
	PRIMARY KEY (channel, id)
);
INSERT INTO consumers (channel, id, ext_consumer, lp_consumer, profile, touched)
	SELECT channel, consumer, ext_consumer, lp_consumer, '', {now}
	FROM threads WHERE consumer <> '' AND ext_consumer <> '' ORDER BY lp_consumer = '', saved DESC
	ON CONFLICT DO NOTHING;

CREATE TABLE ledger (
	dialog   TEXT    NOT NULL,
	sequence INTEGER NOT NULL,
	channel  TEXT    NOT NULL,
	thread   TEXT    NOT NULL,
	source   TEXT    NOT NULL,
	saved    INTEGER NOT NULL,
	PRIMARY KEY (dialog, sequence)
) WITHOUT ROWID;
INSERT INTO ledger (dialog, sequence, channel, thread, source, saved)
	SELECT s.dialog, s.sequence, coalesce(c.channel, ''), coalesce(c.thread, ''), s.source, s.saved
	FROM sent s LEFT JOIN dialogs d ON d.dialog = s.dialog LEFT JOIN conversations c ON c.id = d.conversation;
INSERT INTO ledger (dialog, sequence, channel, thread, source, saved)
	SELECT dialog, sequence, channel, id, '', {now} FROM threads WHERE dialog <> '' AND sequence >= 0 ORDER BY saved DESC
	ON CONFLICT DO NOTHING;
DROP TABLE sent;

CREATE TABLE positions (
	number   INTEGER PRIMARY KEY,
	dialog   TEXT    NOT NULL,
	sequence INTEGER NOT NULL,
	channel  TEXT    NOT NULL,
	thread   TEXT    NOT NULL,
	source   TEXT    NOT NULL,
	saved    INTEGER NOT NULL
);

CREATE TABLE unclaimed (
	id           INTEGER PRIMARY KEY,
	conversation TEXT    NOT NULL,
	dialog       TEXT    NOT NULL,
	sequence     INTEGER NOT NULL,
	received     INTEGER NOT NULL,
	body         BLOB    NOT NULL
);
CREATE INDEX unclaimed_conversation ON unclaimed (conversation, id);

CREATE TABLE composing (
	direction    TEXT    NOT NULL,
	channel      TEXT    NOT NULL,
	thread       TEXT    NOT NULL,
	conversation TEXT    NOT NULL,
	agent        TEXT    NOT NULL,
	since        INTEGER NOT NULL,
	created      INTEGER NOT NULL,
	PRIMARY KEY (direction, channel, thread, conversation, agent)
) WITHOUT ROWID;
INSERT INTO composing (direction, channel, thread, conversation, agent, since, created)
	SELECT '>', channel, id, conversation, '', {now}, saved FROM threads WHERE composing = 1;

ALTER TABLE threads RENAME TO threads_before;
CREATE TABLE threads (
	channel      TEXT    NOT NULL,
	id           TEXT    NOT NULL,
	consumer     TEXT    NOT NULL,
	ext_consumer TEXT    NOT NULL,
	lp_consumer  TEXT    NOT NULL,
	conversation TEXT    NOT NULL,
	saved        INTEGER NOT NULL,
	touched      INTEGER NOT NULL,
	PRIMARY KEY (channel, id)
);
INSERT INTO threads (channel, id, consumer, ext_consumer, lp_consumer, conversation, saved, touched)
	SELECT channel, id, consumer, ext_consumer, lp_consumer, conversation, saved, {now} FROM threads_before;
DROP TABLE threads_before;
CREATE INDEX threads_conversation ON threads (conversation) WHERE conversation <> '';
CREATE INDEX threads_lp_consumer ON threads (lp_consumer) WHERE lp_consumer <> '';
CREATE INDEX threads_consumer ON threads (channel, consumer);
`

// schema3 finds a change that is known without comparing it with all others of its
// conversation.
const schema3 = `
CREATE INDEX unclaimed_same ON unclaimed (conversation, body);
`
