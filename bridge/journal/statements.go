package journal

// Every statement of the journal is in this file; the layout they rest on is in
// schema.go. Statements keep to what SQLite and PostgreSQL share: ON CONFLICT,
// CASE, row-at-a-time updates by key, and ? for a parameter. What an engine does
// its own way (opening, pragmas, error codes, checkpoints) is in the engine's
// file.

// statement names one statement.
type statement int

// The statements of the writer. clearPending serves a journal that keeps no
// delivered events, finishPending one that does.
const (
	begin statement = iota
	commit
	rollback
	dedupeOf
	keyPart
	insertKeyPart
	insertKeyRun
	deleteKeyParts
	deleteKeyRun
	insertEvent
	clearPending
	finishPending
	listAfloat
	listEvent
	killPending
	retryPending
	beginPending
	deadRow
	reviveDead
	discardDead
	insertEpoch
	saveThread
	saveConversation
	saveDialog
	saveConsumer
	insertPosition
	insertLedger
	deletePositions
	sameUnclaimed
	insertUnclaimed
	sizeOfUnclaimed
	deleteUnclaimed
	insertComposing
	deleteComposing
	upsertFlag
	upsertMeta
	forgetCounts
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
	forgetLedger
	forgetThread
	forgetConversation
	forgetOpenConversation
	deleteDialogs
	anyDedupe
	forgetConsumer
	forgetUnclaimed
	expireDead
	eraseDone
	eraseDead
	eraseThread
	eraseConversation
	eraseConsumer
	erasePosition
	erasePositions
	eraseComposing
	waitsIn
	openIn
	openOne
	newestOldEpoch
	forgetEpochs
	writerStatements
)

// The statements of readers.
const (
	lanesAfter = writerStatements + iota
	pendingOf
	pendingAfloat
	keyRuns
	freshKeys
	deadLetters
	deadEntry
	tracedEvents
	tracedReceipts
	ledgerOf
	brokenEpochs
	threadByKey
	threadsOf
	conversationByID
	conversationByDialog
	conversationsOf
	conversationHeld
	dialogsOf
	positions
	messageAt
	lastOf
	lastOfThread
	unclaimedOf
	allUnclaimed
	composingMarks
	consumerByID
	flagOf
	metaOf
	recordByID
	recordByKey
	recordsUp
	recordsDown
	lastEvent
	pendingByLane
	pendingCounts
	countDead
	countUnclaimed
	doneBound
	dedupeBound
	ledgerBound
	expiredRecords
	recordBound
	oldThreads
	oldConversations
	oldOpenConversations
	oldConsumers
	oldUnclaimed
	oldDead
	consumersPage
	threadsPage
	threadsOfConsumer
	conversationsPage
	positionsPage
	eventsPage
	eventAt
	allStatements
)

const threadColumns = `channel, id, consumer, ext_consumer, lp_consumer, conversation`

const eventColumns = `seq, lane, id, kind, payload, accepted, attempts, next_try, last, settled, reason, begun, doubt, dialogs, expired`

// deadColumns are eventColumns without the payload.
const deadColumns = `seq, lane, id, kind, CAST('' AS BLOB), accepted, attempts, next_try, last, settled, reason, begun, doubt, dialogs, expired`

// Conditions under which rows are forgotten that are old enough.
const (
	threadUnused = `NOT EXISTS (SELECT 1 FROM conversations c WHERE c.id = threads.conversation AND c.open = 1)
		AND NOT EXISTS (SELECT 1 FROM events e WHERE e.state = 0 AND e.listed = 1 AND e.lane IN (threads.channel || '>' || threads.id, threads.channel || '<' || threads.id))
		AND NOT EXISTS (SELECT 1 FROM composing m WHERE m.direction IN ('>', '<') AND m.channel = threads.channel AND m.thread = threads.id)`
	conversationUnused = `NOT EXISTS (SELECT 1 FROM threads t WHERE t.conversation = conversations.id AND t.conversation <> '')`
	consumerUnused     = `NOT EXISTS (SELECT 1 FROM threads t WHERE t.channel = consumers.channel AND t.consumer = consumers.id)`
)

const conversationColumns = `c.id, c.channel, c.thread, c.ext_consumer, c.lp_consumer, c.dialog, c.survey, c.open, c.announced,
	c.updated, c.joined, c.began, c.ended`

const unclaimedColumns = `id, conversation, dialog, sequence, received, body`

const recordColumns = `id, parent, keys, data, saved`

var text = [allStatements]string{
	begin:    `BEGIN IMMEDIATE`,
	commit:   `COMMIT`,
	rollback: `ROLLBACK`,

	dedupeOf:       `SELECT 1 FROM dedupe WHERE hash = ?`,
	keyPart:        `SELECT keys FROM key_parts WHERE run = ? AND part = ?`,
	insertKeyPart:  `INSERT INTO key_parts (run, part, keys) VALUES (?, ?, ?)`,
	insertKeyRun:   `INSERT INTO key_runs (id, expires, filter, firsts) VALUES (?, ?, ?, ?)`,
	deleteKeyParts: `DELETE FROM key_parts WHERE run = ?`,
	deleteKeyRun:   `DELETE FROM key_runs WHERE id = ?`,
	insertEvent: `INSERT INTO events (seq, lane, id, kind, payload, accepted, state, attempts, next_try, last, settled,
			reason, begun, doubt, dialogs, expired, listed)
		VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 0, x'', 0, ?)`,
	clearPending:  `UPDATE events SET state = 1, settled = ?, payload = x'' WHERE seq = ? AND state = 0`,
	finishPending: `UPDATE events SET state = 1, settled = ? WHERE seq = ? AND state = 0`,
	killPending: `UPDATE events SET state = 2, attempts = ?, last = ?, settled = ?, reason = ?, begun = 0, doubt = ?, dialogs = ?
		WHERE seq = ? AND state = 0`,
	retryPending: `UPDATE events SET attempts = ?, next_try = ?, last = ?, reason = ?, begun = 0, doubt = ?, dialogs = ?,
			listed = 1
		WHERE seq = ? AND state = 0`,
	beginPending: `UPDATE events SET begun = ? WHERE seq = ? AND state = 0 AND begun <> ?`,
	deadRow:      `SELECT ` + eventColumns + ` FROM events WHERE seq = ? AND state = 2`,
	reviveDead: `UPDATE events SET seq = ?, accepted = ?, state = 0, attempts = 0, next_try = 0, last = '', settled = 0, reason = '', listed = 1
		WHERE seq = ? AND state = 2`,
	discardDead: `UPDATE events SET state = 1, settled = ?, payload = x'' WHERE seq = ? AND state = 2`,
	// The events from a seq are few: those of the last second and what was
	// afloat then.
	listEvent:  `UPDATE events SET listed = 1 WHERE seq = ? AND state = 0 AND listed = 0`,
	listAfloat: `UPDATE events SET listed = 1 WHERE seq >= ? AND state = 0 AND listed = 0`,

	insertEpoch: `INSERT INTO epochs (epoch, found, alive) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,

	saveThread: `INSERT INTO threads (` + threadColumns + `, saved, touched)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (channel, id) DO UPDATE SET
			consumer = excluded.consumer, ext_consumer = excluded.ext_consumer, lp_consumer = excluded.lp_consumer,
			conversation = excluded.conversation, saved = excluded.saved, touched = excluded.touched`,
	saveConversation: `INSERT INTO conversations (id, channel, thread, ext_consumer, lp_consumer, dialog, survey, open, announced,
			updated, joined, began, ended, created, saved, touched)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET
			channel = excluded.channel, thread = excluded.thread, ext_consumer = excluded.ext_consumer,
			lp_consumer = excluded.lp_consumer, dialog = excluded.dialog, survey = excluded.survey, open = excluded.open,
			announced = excluded.announced, updated = excluded.updated, joined = excluded.joined, began = excluded.began,
			ended = excluded.ended, saved = excluded.saved, touched = excluded.touched`,
	saveDialog: `INSERT INTO dialogs (dialog, conversation) VALUES (?, ?)
		ON CONFLICT (dialog) DO UPDATE SET conversation = excluded.conversation
		WHERE dialogs.conversation <> excluded.conversation`,
	saveConsumer: `INSERT INTO consumers (channel, id, ext_consumer, lp_consumer, profile, touched) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (channel, id) DO UPDATE SET
			ext_consumer = excluded.ext_consumer, lp_consumer = excluded.lp_consumer, profile = excluded.profile,
			touched = excluded.touched`,
	insertLedger: `INSERT INTO ledger (dialog, sequence, channel, thread, source, saved) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (dialog, sequence) DO UPDATE SET
			channel = excluded.channel, thread = excluded.thread, source = excluded.source`,
	insertPosition:  `INSERT INTO positions (number, dialog, sequence, channel, thread, source, saved) VALUES (?, ?, ?, ?, ?, ?, ?)`,
	deletePositions: `DELETE FROM positions WHERE number <= ?`,
	positions:       `SELECT number, dialog, sequence, channel, thread, source, saved FROM positions ORDER BY number`,
	sameUnclaimed:   `SELECT id FROM unclaimed WHERE conversation = ? AND body = ?`,
	insertUnclaimed: `INSERT INTO unclaimed (` + unclaimedColumns + `) VALUES (?, ?, ?, ?, ?, ?)`,
	sizeOfUnclaimed: `SELECT length(body) FROM unclaimed WHERE id = ?`,
	deleteUnclaimed: `DELETE FROM unclaimed WHERE id = ?`,
	insertComposing: `INSERT INTO composing (direction, channel, thread, conversation, agent, since, created) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`,
	deleteComposing: `DELETE FROM composing WHERE direction = ? AND channel = ? AND thread = ? AND conversation = ? AND agent = ?`,

	upsertFlag:   `INSERT INTO flags (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
	forgetCounts: `DELETE FROM meta WHERE name >= 'pending:' AND name < 'pending;'`,
	upsertMeta:   `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,

	findKey:      `SELECT id FROM record_keys WHERE channel = ? AND kind = ? AND name = ?`,
	recordKeysOf: `SELECT keys FROM records WHERE channel = ? AND kind = ? AND id = ?`,
	upsertRecord: `INSERT INTO records (channel, kind, id, parent, keys, data, saved, touched) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
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
	forgetLedger: `DELETE FROM ledger WHERE dialog > ? AND dialog <= ? AND saved < ?`,

	forgetThread:           `DELETE FROM threads WHERE channel = ? AND id = ? AND touched < ? AND ` + threadUnused,
	forgetConversation:     `DELETE FROM conversations WHERE id = ? AND touched < ? AND open = 0 AND ` + conversationUnused,
	forgetOpenConversation: `DELETE FROM conversations WHERE id = ? AND touched < ? AND open = 1`,
	anyDedupe:              `SELECT 1 FROM dedupe WHERE hash > x'' LIMIT 1`,
	deleteDialogs:          `DELETE FROM dialogs WHERE conversation = ?`,
	forgetConsumer:         `DELETE FROM consumers WHERE channel = ? AND id = ? AND touched < ? AND ` + consumerUnused,
	forgetUnclaimed:        `DELETE FROM unclaimed WHERE id = ? AND length(body) = ? AND received < ?`,
	expireDead:             `UPDATE events SET payload = x'', expired = 1 WHERE seq = ? AND state = 2 AND settled < ?`,
	eraseDone:              `DELETE FROM events WHERE seq = ? AND state = 1`,
	eraseDead:              `DELETE FROM events WHERE seq = ? AND state = 2`,
	eraseThread:            `DELETE FROM threads WHERE channel = ? AND id = ?`,
	eraseConversation:      `DELETE FROM conversations WHERE id = ?`,
	eraseConsumer:          `DELETE FROM consumers WHERE channel = ? AND id = ?`,
	erasePosition:          `DELETE FROM ledger WHERE dialog = ? AND sequence = ?`,
	erasePositions:         `DELETE FROM positions WHERE channel = ? AND thread = ?`,
	eraseComposing:         `DELETE FROM composing WHERE direction IN ('>', '<') AND channel = ? AND thread = ?`,
	waitsIn:                `SELECT 1 FROM events WHERE state = 0 AND listed = 1 AND lane = ? LIMIT 1`,
	openIn:                 `SELECT 1 FROM conversations WHERE channel = ? AND thread = ? AND open = 1 LIMIT 1`,
	openOne:                `SELECT 1 FROM conversations WHERE id = ? AND open = 1`,
	newestOldEpoch:         `SELECT epoch, found FROM epochs WHERE found < ? ORDER BY epoch DESC LIMIT 1`,
	forgetEpochs:           `DELETE FROM epochs WHERE epoch <= ?`,

	// Each row jumps to the next lane through the index, so that a lane costs
	// the same with one event waiting as with a million.
	lanesAfter: `WITH RECURSIVE waiting (lane) AS (
			SELECT min(lane) FROM events WHERE state = 0 AND listed = 1 AND lane > ?
			UNION ALL
			SELECT (SELECT min(e.lane) FROM events e WHERE e.state = 0 AND e.listed = 1 AND e.lane > w.lane)
			FROM waiting w WHERE w.lane IS NOT NULL
		) SELECT lane FROM waiting WHERE lane IS NOT NULL LIMIT ?`,
	pendingOf: `SELECT ` + eventColumns + ` FROM events WHERE state = 0 AND listed = 1 AND lane = ? AND seq > ?
		ORDER BY seq LIMIT ?`,
	pendingAfloat: `SELECT ` + eventColumns + ` FROM events WHERE seq = ? AND state = 0 AND listed = 0`,
	keyRuns:       `SELECT id, expires, filter, firsts FROM key_runs`,
	freshKeys:     `SELECT lane, id FROM events WHERE seq > ? AND id <> ''`,
	deadLetters:   `SELECT ` + deadColumns + ` FROM events WHERE state = 2 AND seq > ? ORDER BY seq LIMIT ?`,
	deadEntry:     `SELECT ` + eventColumns + ` FROM events WHERE seq = ? AND state = 2`,

	// A trace looks for what has an id in it, or is of the thread that is called so;
	// what exactly is meant it finds out by itself.
	tracedEvents: `SELECT ` + deadColumns + `, state FROM events WHERE seq > ? AND seq <= ? AND (instr(id, ?) > 0 OR instr(lane, ?) > 0) ORDER BY seq`,
	tracedReceipts: `SELECT ` + eventColumns + `, state FROM events WHERE seq > ? AND seq <= ? AND kind = 'receipt' AND (lane = ? OR lane = ?)
		ORDER BY seq`,
	ledgerOf: `SELECT sequence, source FROM ledger WHERE dialog = ?`,

	brokenEpochs: `SELECT epoch, found FROM epochs`,

	threadByKey: `SELECT ` + threadColumns + ` FROM threads WHERE channel = ? AND id = ?`,
	threadsOf:   `SELECT ` + threadColumns + ` FROM threads WHERE lp_consumer = ? AND lp_consumer <> '' ORDER BY saved DESC`,

	conversationByID: `SELECT ` + conversationColumns + ` FROM conversations c WHERE c.id = ?`,
	conversationByDialog: `SELECT ` + conversationColumns + ` FROM dialogs d JOIN conversations c ON c.id = d.conversation
		WHERE d.dialog = ?`,
	conversationsOf: `SELECT ` + conversationColumns + ` FROM conversations c WHERE c.channel = ? AND c.thread = ?
		ORDER BY c.began DESC, c.created DESC LIMIT ?`,
	conversationHeld: `SELECT ` + conversationColumns + ` FROM conversations c
		WHERE c.open = 1 AND c.lp_consumer <> '' AND c.lp_consumer = ? ORDER BY c.saved DESC LIMIT 1`,
	dialogsOf: `SELECT dialog FROM dialogs WHERE conversation = ? ORDER BY dialog`,

	messageAt:    `SELECT channel, thread, source FROM ledger WHERE dialog = ? AND sequence = ?`,
	lastOf:       `SELECT sequence FROM ledger WHERE dialog = ? ORDER BY sequence DESC LIMIT 1`,
	lastOfThread: `SELECT sequence FROM ledger WHERE dialog = ? AND channel = ? AND thread = ? ORDER BY sequence DESC LIMIT 1`,

	unclaimedOf:  `SELECT ` + unclaimedColumns + ` FROM unclaimed WHERE conversation = ? ORDER BY id`,
	allUnclaimed: `SELECT ` + unclaimedColumns + ` FROM unclaimed WHERE id > ? ORDER BY id LIMIT ?`,

	composingMarks: `SELECT direction, channel, thread, conversation, agent, since FROM composing ORDER BY created`,
	consumerByID:   `SELECT ext_consumer, lp_consumer, profile FROM consumers WHERE channel = ? AND id = ?`,

	flagOf: `SELECT value FROM flags WHERE name = ?`,
	metaOf: `SELECT value FROM meta WHERE name = ?`,

	recordByID: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND id = ?`,
	recordByKey: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ?
		AND id = (SELECT k.id FROM record_keys k WHERE k.channel = ? AND k.kind = ? AND k.name = ?)`,
	recordsUp: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND parent = ?
		AND id > ? AND id < ? ORDER BY id LIMIT ?`,
	recordsDown: `SELECT ` + recordColumns + ` FROM records WHERE channel = ? AND kind = ? AND parent = ?
		AND id > ? AND id < ? ORDER BY id DESC LIMIT ?`,

	lastEvent:      `SELECT coalesce(max(seq), 0) FROM events`,
	pendingByLane:  `SELECT lane, count(*) FROM events WHERE state = 0 AND listed = 1 GROUP BY lane`,
	pendingCounts:  `SELECT name, value FROM meta WHERE name >= 'pending:' AND name < 'pending;'`,
	countDead:      `SELECT count(*) FROM events WHERE state = 2`,
	countUnclaimed: `SELECT count(*), coalesce(sum(length(body)), 0) FROM unclaimed`,

	// The bounds cut a table into ranges of a thousand keys for the purge.
	doneBound:   `SELECT seq FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET 999`,
	dedupeBound: `SELECT hash FROM dedupe WHERE hash > ? AND hash <= ? ORDER BY hash LIMIT 1 OFFSET 999`,
	ledgerBound: `SELECT dialog FROM ledger WHERE dialog > ? AND dialog <= ? ORDER BY dialog LIMIT 1 OFFSET 999`,
	oldThreads: `SELECT channel, id FROM threads WHERE (channel, id) > (?, ?) AND touched < ? AND ` + threadUnused + `
		ORDER BY channel, id LIMIT ?`,
	oldConversations: `SELECT id FROM conversations WHERE id > ? AND touched < ? AND open = 0 AND ` + conversationUnused + `
		ORDER BY id LIMIT ?`,
	oldOpenConversations: `SELECT id FROM conversations WHERE id > ? AND touched < ? AND open = 1 ORDER BY id LIMIT ?`,
	oldConsumers: `SELECT channel, id FROM consumers WHERE (channel, id) > (?, ?) AND touched < ? AND ` + consumerUnused + `
		ORDER BY channel, id LIMIT ?`,
	// What is kept of one person is looked for a page at a time: a reader that stays
	// open keeps the log from being used again.
	consumersPage: `SELECT channel, id, ext_consumer, lp_consumer FROM consumers WHERE (channel, id) > (?, ?)
		ORDER BY channel, id LIMIT 1000`,
	threadsPage: `SELECT channel, id, consumer, ext_consumer FROM threads WHERE (channel, id) > (?, ?)
		ORDER BY channel, id LIMIT 1000`,
	threadsOfConsumer: `SELECT ` + threadColumns + ` FROM threads WHERE channel = ? AND consumer = ?`,
	conversationsPage: `SELECT id, channel, thread, ext_consumer, lp_consumer FROM conversations WHERE id > ? ORDER BY id LIMIT 1000`,
	positionsPage: `SELECT dialog, sequence, channel, thread, source, saved FROM ledger WHERE (dialog, sequence) > (?, ?)
		ORDER BY dialog, sequence LIMIT 1000`,
	eventsPage:     `SELECT seq, lane, instr(payload, ?) > 0 FROM events WHERE seq > ? ORDER BY seq LIMIT 1000`,
	eventAt:        `SELECT ` + eventColumns + `, state FROM events WHERE seq = ?`,
	oldUnclaimed:   `SELECT id, length(body) FROM unclaimed WHERE id > ? AND received < ? ORDER BY id LIMIT ?`,
	oldDead:        `SELECT seq FROM events WHERE state = 2 AND seq > ? AND expired = 0 AND settled < ? ORDER BY seq LIMIT ?`,
	recordBound:    `SELECT id FROM records WHERE channel = ? AND kind = ? AND id > ? ORDER BY id LIMIT 1 OFFSET 999`,
	expiredRecords: `SELECT id FROM records WHERE channel = ? AND kind = ? AND id > ? AND id <= ? AND touched < ?`,
}
