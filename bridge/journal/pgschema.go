package journal

import "strings"

// The layout on PostgreSQL is that of schema.go, with the names of its types, and
// what one database that many processes reach needs besides:
//
//   - lease is who owns the journal: owner names the process and is empty when nobody
//     does; epoch counts the owners; beat counts the renewals of one. A process that
//     waits takes a lease whose beat stands still, by its own clock, so that no two
//     clocks must agree. since and renewed are for people.
//   - fence is what each transaction of the owner changes first: tx is its number.
//     Who has another epoch than the fence changes nothing, and a commit whose answer
//     was lost is known by tx. It is a row apart from the lease, so that a
//     transaction holds up no renewal.
//   - layout counts the migrations that were applied.
//   - peer is where other processes reach the owner with this epoch, and what they and it
//     prove themselves with. It is a table apart from the lease, so that a migration holds
//     up no renewal and a process of an earlier release reads the lease it knows.
//
// part is 0 everywhere: there is one owner of all. Text compares as bytes, as it does on
// SQLite, whatever the database's collation.

// leaseLayout is what a process needs that waits. It stays as it is, so that processes of
// different releases can wait for each other.
const leaseLayout = `
CREATE TABLE IF NOT EXISTS lease (
	part    SMALLINT    PRIMARY KEY,
	owner   TEXT        NOT NULL,
	epoch   BIGINT      NOT NULL,
	beat    BIGINT      NOT NULL,
	since   TIMESTAMPTZ NOT NULL,
	renewed TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS fence (
	part  SMALLINT PRIMARY KEY,
	epoch BIGINT   NOT NULL,
	tx    BIGINT   NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS layout (version BIGINT NOT NULL);
INSERT INTO layout (version) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM layout);
INSERT INTO fence (part, epoch, tx) VALUES (0, 0, 0) ON CONFLICT DO NOTHING;
INSERT INTO lease (part, owner, epoch, beat, since, renewed) VALUES (0, '', 0, 0, now(), now()) ON CONFLICT DO NOTHING;
`

// pgMigrations only ever go forward. A process applies them once it owns the journal,
// so that one of an earlier release keeps the layout it knows as long as it owns it.
var pgMigrations = []string{strings.ReplaceAll(pgSchema1, "TEXT ", `TEXT COLLATE "C" `), pgSchema2}

// withPeers is the first layout in which the owner says where it is reached.
const withPeers = 2

const pgSchema2 = `
CREATE TABLE peer (
	part        SMALLINT PRIMARY KEY,
	epoch       BIGINT   NOT NULL,
	address     TEXT     NOT NULL,
	certificate TEXT     NOT NULL,
	token       TEXT     NOT NULL
) WITH (fillfactor = 10);
INSERT INTO peer (part, epoch, address, certificate, token) VALUES (0, 0, '', '', '');
`

const pgSchema1 = `
CREATE TABLE events (
	seq      BIGINT   PRIMARY KEY,
	lane     TEXT     NOT NULL,
	id       TEXT     NOT NULL,
	kind     TEXT     NOT NULL,
	payload  BYTEA    NOT NULL,
	accepted BIGINT   NOT NULL,
	state    SMALLINT NOT NULL,
	attempts BIGINT   NOT NULL,
	next_try BIGINT   NOT NULL,
	last     TEXT     NOT NULL,
	settled  BIGINT   NOT NULL,
	begun    BIGINT   NOT NULL,
	doubt    BIGINT   NOT NULL,
	dialogs  BYTEA    NOT NULL,
	reason   TEXT     NOT NULL,
	expired  SMALLINT NOT NULL,
	listed   SMALLINT NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX events_pending ON events (lane, seq) WHERE state = 0 AND listed = 1;
CREATE INDEX events_dead ON events (seq) WHERE state = 2;

CREATE TABLE dedupe (
	hash    BYTEA  PRIMARY KEY,
	seq     BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
CREATE TABLE key_runs (
	id      BIGINT PRIMARY KEY,
	expires BIGINT NOT NULL,
	filter  BYTEA  NOT NULL,
	firsts  BYTEA  NOT NULL
);
CREATE TABLE key_parts (
	run  BIGINT NOT NULL,
	part BIGINT NOT NULL,
	keys BYTEA  NOT NULL,
	PRIMARY KEY (run, part)
);
CREATE TABLE epochs (
	epoch BIGINT PRIMARY KEY,
	found BIGINT NOT NULL,
	alive BIGINT NOT NULL
);

CREATE TABLE threads (
	channel      TEXT   NOT NULL,
	id           TEXT   NOT NULL,
	consumer     TEXT   NOT NULL,
	ext_consumer TEXT   NOT NULL,
	lp_consumer  TEXT   NOT NULL,
	conversation TEXT   NOT NULL,
	saved        BIGINT NOT NULL,
	touched      BIGINT NOT NULL,
	PRIMARY KEY (channel, id)
);
CREATE INDEX threads_conversation ON threads (conversation) WHERE conversation <> '';
CREATE INDEX threads_lp_consumer ON threads (lp_consumer) WHERE lp_consumer <> '';
CREATE INDEX threads_consumer ON threads (channel, consumer);

CREATE TABLE conversations (
	id           TEXT     PRIMARY KEY,
	channel      TEXT     NOT NULL,
	thread       TEXT     NOT NULL,
	ext_consumer TEXT     NOT NULL,
	lp_consumer  TEXT     NOT NULL,
	dialog       TEXT     NOT NULL,
	survey       TEXT     NOT NULL,
	open         SMALLINT NOT NULL,
	announced    BIGINT   NOT NULL,
	updated      BIGINT   NOT NULL,
	joined       TEXT     NOT NULL,
	began        BIGINT   NOT NULL,
	ended        BIGINT   NOT NULL,
	created      BIGINT   NOT NULL,
	saved        BIGINT   NOT NULL,
	touched      BIGINT   NOT NULL
);
CREATE INDEX conversations_thread ON conversations (channel, thread, began, created);
CREATE INDEX conversations_open ON conversations (lp_consumer, saved) WHERE open = 1 AND lp_consumer <> '';

CREATE TABLE dialogs (
	dialog       TEXT PRIMARY KEY,
	conversation TEXT NOT NULL
);
CREATE INDEX dialogs_conversation ON dialogs (conversation);

CREATE TABLE consumers (
	channel      TEXT   NOT NULL,
	id           TEXT   NOT NULL,
	ext_consumer TEXT   NOT NULL,
	lp_consumer  TEXT   NOT NULL,
	profile      BYTEA  NOT NULL,
	touched      BIGINT NOT NULL,
	PRIMARY KEY (channel, id)
);

CREATE TABLE ledger (
	dialog   TEXT   NOT NULL,
	sequence BIGINT NOT NULL,
	channel  TEXT   NOT NULL,
	thread   TEXT   NOT NULL,
	source   TEXT   NOT NULL,
	saved    BIGINT NOT NULL,
	PRIMARY KEY (dialog, sequence)
);
CREATE TABLE positions (
	number   BIGINT PRIMARY KEY,
	dialog   TEXT   NOT NULL,
	sequence BIGINT NOT NULL,
	channel  TEXT   NOT NULL,
	thread   TEXT   NOT NULL,
	source   TEXT   NOT NULL,
	saved    BIGINT NOT NULL
);

CREATE TABLE unclaimed (
	id           BIGINT PRIMARY KEY,
	conversation TEXT   NOT NULL,
	dialog       TEXT   NOT NULL,
	sequence     BIGINT NOT NULL,
	received     BIGINT NOT NULL,
	body         BYTEA  NOT NULL
);
CREATE INDEX unclaimed_conversation ON unclaimed (conversation, id);
CREATE INDEX unclaimed_same ON unclaimed (conversation, sha256(body));

CREATE TABLE composing (
	direction    TEXT   NOT NULL,
	channel      TEXT   NOT NULL,
	thread       TEXT   NOT NULL,
	conversation TEXT   NOT NULL,
	agent        TEXT   NOT NULL,
	since        BIGINT NOT NULL,
	created      BIGINT NOT NULL,
	PRIMARY KEY (direction, channel, thread, conversation, agent)
);

CREATE TABLE records (
	channel TEXT   NOT NULL,
	kind    TEXT   NOT NULL,
	id      BIGINT NOT NULL,
	parent  TEXT   NOT NULL,
	keys    BYTEA  NOT NULL,
	data    BYTEA  NOT NULL,
	saved   BIGINT NOT NULL,
	touched BIGINT NOT NULL,
	PRIMARY KEY (channel, kind, id)
);
CREATE INDEX records_parent ON records (channel, kind, parent, id);
CREATE TABLE record_keys (
	channel TEXT   NOT NULL,
	kind    TEXT   NOT NULL,
	name    TEXT   NOT NULL,
	id      BIGINT NOT NULL,
	PRIMARY KEY (channel, kind, name)
);
CREATE TABLE counters (
	channel TEXT   NOT NULL,
	kind    TEXT   NOT NULL,
	last    BIGINT NOT NULL,
	PRIMARY KEY (channel, kind)
);
CREATE TABLE flags (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
);
CREATE TABLE meta (
	name  TEXT   PRIMARY KEY,
	value BIGINT NOT NULL
);
`

// tables are those of the layout that hold what the journal keeps.
var tables = []string{
	"events", "dedupe", "key_runs", "key_parts", "epochs", "threads", "conversations", "dialogs", "consumers", "ledger",
	"positions", "unclaimed", "composing", "records", "record_keys", "counters", "flags", "meta",
}
