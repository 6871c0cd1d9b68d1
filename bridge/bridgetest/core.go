package bridgetest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"

	"lpbridge/bridge"
)

// Core is what an adapter sees of the bridge, recording what it is given. It
// deduplicates as the bridge does and can be told to refuse.
type Core struct {
	records *recordTable

	mu           sync.Mutex
	events       []bridge.Event
	known        map[bridge.EventID]bool
	disconnected []bridge.ThreadID
	refuse       error
	files        map[string][]byte
	leftOut      map[string]int
	closed       map[string]int
}

var _ bridge.Core = (*Core)(nil)

// NewCore returns a core that accepts everything.
func NewCore() *Core {
	return &Core{records: newRecordTable(), known: map[bridge.EventID]bool{}}
}

// Refuse makes Accept fail with err until it is called with nil.
func (c *Core) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
}

// Accept implements [bridge.Core].
func (c *Core) Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var done bridge.Accepted
	if c.refuse != nil {
		return done, c.refuse
	}
	for i := range events {
		if err := events[i].Validate(); err != nil {
			return done, err
		}
	}
	if err := c.records.Save(ctx, records...); err != nil {
		return done, err
	}
	for _, e := range events {
		// Typing is not journalled, so its id, if any, is nobody's key.
		if e.Kind != bridge.KindTyping {
			if c.known[e.ID] {
				done.Duplicates++
				continue
			}
			c.known[e.ID] = true
		}
		done.Events++
		c.events = append(c.events, e)
	}
	return done, nil
}

// Disconnected implements [bridge.Core].
func (c *Core) Disconnected(thread bridge.ThreadID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnected = append(c.disconnected, thread)
}

// Share makes [Core.File] find a file at an address.
func (c *Core) Share(address string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[string][]byte{}
	}
	c.files[address] = data
}

// File implements [bridge.Core].
func (c *Core) File(_ context.Context, a bridge.Attachment) (*bridge.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, ok := c.files[a.URL]
	if !ok {
		return nil, bridge.ErrNoFile
	}
	return &bridge.File{
		Body: io.NopCloser(bytes.NewReader(data)), Size: int64(len(data)), ContentType: http.DetectContentType(data),
	}, nil
}

// LeftOut implements [bridge.Core].
func (c *Core) LeftOut(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leftOut == nil {
		c.leftOut = map[string]int{}
	}
	c.leftOut[reason]++
}

// Slots implements [bridge.Core].
func (*Core) Slots() int { return 0 }

// ConnectionClosed implements [bridge.Core].
func (c *Core) ConnectionClosed(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed == nil {
		c.closed = map[string]int{}
	}
	c.closed[reason]++
}

// ConnectionsClosed returns how often each reason of ConnectionClosed was counted.
func (c *Core) ConnectionsClosed() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.closed)
}

// LeftOuts returns how often each reason of LeftOut was counted.
func (c *Core) LeftOuts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.leftOut)
}

// Records implements [bridge.Core].
func (c *Core) Records() bridge.Records { return c.records }

// Events returns what was accepted so far, without duplicates.
func (c *Core) Events() []bridge.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// DisconnectedThreads returns what Disconnected was told.
func (c *Core) DisconnectedThreads() []bridge.ThreadID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.disconnected)
}
