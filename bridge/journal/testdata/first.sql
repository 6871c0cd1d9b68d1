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

-- What a process of the first version left that was killed at work.
INSERT INTO events (seq, lane, id, kind, payload, accepted, state, attempts, next_try, last, settled) VALUES
	(1, 'webhook>t-1', 'm-1', 'message', x'7b7d', 1790000000000000, 0, 0, 0, '', 0),
	(2, 'webhook>t-1', 'm-2', 'message', x'7b7d', 1790000001000000, 0, 0, 0, '', 0),
	(3, 'webhook<t-1', 'r-1', 'receipt', x'7b7d', 1790000002000000, 0, 2, 1790000009000000, 'retry', 0),
	(4, 'webhook>t-2', 'm-3', 'message', x'7b7d', 1790000003000000, 0, 0, 0, '', 0),
	(5, 'webhook>t-2', 'm-4', 'message', x'7b7d', 1790000004000000, 0, 1, 0, 'unknown', 0),
	(6, 'webhook>t-2', 'm-5', 'message', x'7b22617d', 1790000005000000, 2, 3, 0, 'invalid', 1790000006000000);
-- The key of known, towards LivePerson on webhook.
INSERT INTO dedupe (hash, seq, expires) VALUES (x'{known}', 1, {now} + 3600000000);
INSERT INTO threads (channel, id, consumer, ext_consumer, lp_consumer, conversation, dialog, survey, former, open, announced,
	sequence, updated, joined, composing, saved) VALUES
	('webhook', 't-1', 'u-1', 'webhook:u-1', 'lp-1', 'c-1', 'd-1', 's-1', 'c-0', 1, 1, 7, 1790000000123, 'agent-1', 1, 1790000000000001),
	('webhook', 't-2', 'u-2', 'webhook:u-2', 'lp-2', 'c-2', 'c-2', '', '', 0, 0, -1, 0, '', 0, 1790000000000002),
	-- A crash between the two saves of a take-over: both held the conversation.
	('layer', 't-3', 'u-3', 'layer:u-3', 'lp-3', 'c-3', 'c-3', '', '', 1, 1, 2, 0, '', 0, 1790000000000003),
	('layer', 't-4', 'u-3', 'layer:u-3', 'lp-3', 'c-3', 'c-3', '', '', 1, 1, 4, 0, '', 0, 1790000000000004),
	('layer', 't-5', 'u-3', 'layer:u-3', '', '', '', '', '', 0, 0, -1, 0, '', 0, 1790000000000005);
INSERT INTO sent (dialog, sequence, source, saved) VALUES
	('d-1', 5, 'm-0', {now}), ('s-1', 1, 'm-s', {now}), ('c-0', 3, 'm-old', {now}),
	('d-gone', 2, 'm-gone', {now});
INSERT INTO records (channel, kind, id, parent, keys, data, saved) VALUES ('layer', 'message', 3, 'c-3', x'016b', x'01', 1790000000000000);
INSERT INTO record_keys (channel, kind, name, id) VALUES ('layer', 'message', 'k', 3);
INSERT INTO counters (channel, kind, last) VALUES ('layer', 'message', 64);
INSERT INTO flags (name, value) VALUES ('f', '1');
INSERT INTO meta (name, value) VALUES ('clean', 0), ('seq', 100000);
PRAGMA user_version = 1;
