package journal

import (
	"strconv"
	"strings"
)

// pgOwn are the statements that PostgreSQL words in its own way.
var pgOwn = map[statement]string{
	begin: `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE`,
	// A body may be longer than an entry of an index.
	sameUnclaimed: `SELECT id FROM unclaimed WHERE conversation = ? AND sha256(body) = sha256(?)`,
	tracedEvents: `SELECT ` + deadColumns + `, state FROM events WHERE seq > ? AND seq <= ? AND (strpos(id, ?) > 0 OR strpos(lane, ?) > 0)
		ORDER BY seq`,
	eventsPage: `SELECT seq, lane, position(?::bytea in payload) > 0 FROM events WHERE seq > ? ORDER BY seq LIMIT 1000`,
}

// pgText returns a statement as PostgreSQL takes it: with its words for no bytes, and its
// parameters numbered.
func pgText(s statement) string {
	plain, own := pgOwn[s]
	if !own {
		plain = text[s]
	}
	plain = strings.NewReplacer(`CAST('' AS BLOB)`, `''::bytea`, `x''`, `''::bytea`).Replace(plain)
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(plain, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		plain = after
	}
}
