package layer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// typeSummary is the part in which Layer's server keeps what all responses to a part
// of a message come to. Apps that load the message, or have it on another device, see
// by it what was chosen (web-xdk 4, MessageTypeResponseSummary).
const typeSummary = "application/vnd.layer.responsesummary-v2+json"

// The kinds of state a response can change (web-xdk 4, CRDT_TYPES): the first value
// stays, the last one counts, it can be taken back too, or all of them count.
const (
	firstWriterWins        = "FWW"
	lastWriterWins         = "LWW"
	lastWriterWinsNullable = "LWWN"
	setOfValues            = "Set"
)

const (
	// maxStates is how many states of one message are kept, and maxStateIDs how many
	// changes of one: who chose oftener than that has what they chose last.
	maxStates   = 32
	maxStateIDs = 16
	// maxStateText is the longest name, id or value, in bytes.
	maxStateText = 256
)

// summary is what the responses to one part of a message come to. All of them are the
// conversation's consumer's, for agents send none.
type summary struct {
	// UUID is the summary's own as a part.
	UUID string `json:"uuid"`
	// Node is the UUID of the part that was responded to.
	Node   string           `json:"node"`
	States map[string]state `json:"states"`
}

// state is one value, or several, with the ids of the changes that set it and of those
// that were taken back.
type state struct {
	Adds    []addition `json:"adds"`
	Removes []string   `json:"removes"`
}

type addition struct {
	IDs   []string `json:"ids"`
	Value any      `json:"value"`
}

// responseChange is one change that a response makes.
type responseChange struct {
	Operation string `json:"operation"`
	Type      string `json:"type"`
	Name      string `json:"name"`
	Value     any    `json:"value"`
	ID        string `json:"id"`
}

// kept reports whether a change can be kept: values are texts, numbers and truth
// values.
func (c *responseChange) kept() bool {
	switch v := c.Value.(type) {
	case string:
		if len(v) > maxStateText {
			return false
		}
	case float64, bool:
	case nil:
		if c.Operation != "remove" {
			return false
		}
	default:
		return false
	}
	return c.Name != "" && c.ID != "" && len(c.Name) <= maxStateText && len(c.ID) <= maxStateText
}

// respond puts changes into a message's summary of a part, and reports whether any
// changed something.
func (m *message) respond(node string, changes []responseChange) bool {
	s := m.summaryOf(node)
	if s == nil {
		return false
	}
	changed := false
	for i := range changes {
		c := &changes[i]
		before, known := s.States[c.Name]
		if !c.kept() || !known && len(s.States) >= maxStates {
			continue
		}
		if after, ok := before.with(c); ok {
			s.States[c.Name], changed = after, true
		}
	}
	if changed {
		m.Summaries = slices.DeleteFunc(slices.Clone(m.Summaries), func(other summary) bool { return other.Node == s.Node })
		m.Summaries = append(m.Summaries, *s)
	}
	return changed
}

// summaryOf is a copy of the summary of a part, or a new one; nil when the message has
// no such part. A response that names none means the root.
func (m *message) summaryOf(node string) *summary {
	i := slices.IndexFunc(m.Parts, func(p part) bool { return strings.EqualFold(p.UUID, node) })
	if i < 0 && node == "" && len(m.Parts) > 0 {
		i = 0
	}
	if i < 0 {
		return nil
	}
	s := &summary{UUID: uuid.NewString(), Node: m.Parts[i].UUID, States: map[string]state{}}
	for _, known := range m.Summaries {
		if known.Node == s.Node {
			s.UUID = known.UUID
			maps.Copy(s.States, known.States)
		}
	}
	return s
}

// with is the state after a change, as the SDKs' own trackers would have it; false when
// the change does nothing.
func (s state) with(c *responseChange) (state, bool) {
	holds := func(a addition) bool { return slices.Contains(a.IDs, c.ID) }
	switch {
	case len(s.Removes)+len(s.Adds) >= maxStateIDs && c.Type == setOfValues:
		return s, false
	case c.Operation == "remove":
		if c.Type == firstWriterWins || c.Type == lastWriterWins || slices.Contains(s.Removes, c.ID) {
			return s, false
		}
		return state{slices.DeleteFunc(slices.Clone(s.Adds), holds), remembered(s.Removes, c.ID)}, true
	case c.Operation != "add" || slices.Contains(s.Removes, c.ID) || slices.ContainsFunc(s.Adds, holds):
		return s, false
	case len(s.Adds) > 0 && c.Type == firstWriterWins:
		return s, false
	}
	after := state{slices.Clone(s.Adds), s.Removes}
	if c.Type == lastWriterWins || c.Type == lastWriterWinsNullable {
		for _, a := range after.Adds {
			after.Removes = remembered(after.Removes, a.IDs...)
		}
		after.Adds = nil
	}
	after.Adds = append(after.Adds, addition{[]string{c.ID}, c.Value})
	return after, true
}

// remembered adds ids to those that were taken back, of which the newest are kept.
func remembered(ids []string, more ...string) []string {
	ids = append(slices.Clone(ids), more...)
	return ids[max(0, len(ids)-maxStateIDs):]
}

// part is the summary as a part of its message.
func (s *summary) part(owner string) part {
	states := make(map[string]state, len(s.States))
	for name, of := range s.States {
		// The SDKs take lists only.
		states[name] = state{append([]addition{}, of.Adds...), append([]string{}, of.Removes...)}
	}
	// What came as JSON can be written as such.
	body, _ := json.Marshal(map[string]map[string]state{identityID(owner): states})
	return part{UUID: s.UUID, MIMEType: typeSummary + ";role=response_summary;parent-node-id=" + s.Node, Body: string(body)}
}

// withSummaries are the parts of a message with what was responded to them.
func (m *message) withSummaries() []part {
	if len(m.Summaries) == 0 || len(m.Parts) == 0 {
		return m.Parts
	}
	parts := slices.Clone(m.Parts)
	for i := range m.Summaries {
		parts = append(parts, m.Summaries[i].part(m.Owner))
	}
	return parts
}

// tellSummary tells the consumer's devices what a message came to: the message with the
// part that is new or has changed, by which the SDKs bring theirs up to date. A part by
// itself they would not put into its message.
func (t *transaction) tellSummary(m *message) { t.tellCreated(objectAnswered, m.UUID, m) }
