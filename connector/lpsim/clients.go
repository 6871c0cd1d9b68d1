package lpsim

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// client is an app that is installed in the account: a client of OAuth with an id and a secret, told by webhooks of what
// happens. What is not atomic is changed under the lock of clients.
type client struct {
	id, secret string
	hooks      *hooks
	enabled    atomic.Bool
	// manifest is what an administrator wrote, as it was written; webhooks is the part of it that says where
	// notifications go.
	manifest map[string]json.RawMessage
	webhooks Webhooks
	issued   int64
	end      context.CancelFunc
}

// clients are the apps installed in the account: the configured one, and those that administrators add.
type clients struct {
	*installation
	agenda *agenda
	// list has the oldest first. It is replaced and never changed, for every notification reads it.
	list atomic.Pointer[[]*client]

	mu       sync.Mutex
	revision int64
	running  context.Context // nil before begin and after end
	workers  sync.WaitGroup
}

func newClients(app *installation, a *agenda) *clients {
	c := &clients{installation: app, agenda: a, revision: 1}
	c.list.Store(&[]*client{})
	return c
}

// all are the apps that are installed, the oldest first.
func (c *clients) all() []*client { return *c.list.Load() }

// find is an installed app by its id, nil if there is none.
func (c *clients) find(id string) *client {
	list := c.all()
	if i := slices.IndexFunc(list, func(one *client) bool { return one.id == id }); i >= 0 {
		return list[i]
	}
	return nil
}

// want tells whether any app is told of an event type.
func (c *clients) want(kind EventType) bool {
	return slices.ContainsFunc(c.all(), func(one *client) bool { return one.hooks.wants(kind) })
}

// begin installs the configured app, and lets deliveries run until ctx ends.
func (c *clients) begin(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = ctx
	c.add(c.configured())
}

// end lets no app be installed any more, and waits for deliveries.
func (c *clients) end() {
	c.mu.Lock()
	c.running = nil
	c.mu.Unlock()
	c.workers.Wait()
}

// configured is the app of the configuration, as an administrator would have installed it.
func (c *clients) configured() *client {
	one := &client{id: c.ClientID, secret: c.ClientSecret, webhooks: c.Webhooks, manifest: map[string]json.RawMessage{
		"client_name": json.RawMessage(`"lpsim"`), "description": json.RawMessage(`"The app of the configuration"`),
		"grant_types": json.RawMessage(`["client_credentials"]`), "scope": json.RawMessage(`"msg.consumer"`), "logo_uri": json.RawMessage(`""`),
	}}
	one.enabled.Store(true)
	return one
}

// add begins to tell an app what happens. It is not done when the simulator has ended. The lock is held.
func (c *clients) add(one *client) {
	if c.running == nil {
		return
	}
	one.issued = c.Now().Unix()
	one.hooks = newHooks(c.installation, c.agenda, one.id, one.secret)
	var ctx context.Context
	ctx, one.end = context.WithCancel(c.running)
	c.workers.Go(func() { one.hooks.run(ctx) })
	c.replace(append(slices.Clone(c.all()), one))
	c.apply(one)
}

// remove forgets an app and everything it has not been told yet. The lock is held.
func (c *clients) remove(one *client) {
	one.enabled.Store(false)
	c.replace(slices.DeleteFunc(slices.Clone(c.all()), func(other *client) bool { return other == one }))
	one.hooks.reset(Webhooks{})
	one.end()
}

func (c *clients) replace(list []*client) { c.list.Store(&list) }

// apply lets notifications go where an app wants them, or nowhere while it is disabled. The lock is held.
func (c *clients) apply(one *client) {
	c.revision++
	if one.enabled.Load() {
		one.hooks.configure(one.webhooks)
	} else {
		one.hooks.configure(Webhooks{})
	}
}

// reset leaves the configured app alone, as it was configured, and drops every notification.
func (c *clients) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.all()
	for _, one := range list {
		if one.id != c.ClientID {
			c.remove(one)
		}
	}
	if one := c.find(c.ClientID); one == nil {
		c.add(c.configured())
	} else {
		was := c.configured()
		one.webhooks, one.manifest = was.webhooks, was.manifest
		one.enabled.Store(true)
		one.hooks.reset(Webhooks{})
		c.apply(one)
	}
}

// configure replaces the webhooks of the configured app.
func (c *clients) configure(w Webhooks) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.find(c.ClientID)
	if one == nil {
		return &FieldError{"url", "the configured app was deleted by an administrator; POST /sim/reset installs it again"}
	}
	one.webhooks = w
	c.apply(one)
	return nil
}

func (c *clients) webhooks() Webhooks {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.find(c.ClientID); one != nil {
		return one.webhooks
	}
	return Webhooks{}
}

// mayHaveTokens tells whether an app is installed for the client credentials grant.
func (c *clients) mayHaveTokens(one *client) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var grants []string
	return json.Unmarshal(one.manifest["grant_types"], &grants) == nil && slices.Contains(grants, "client_credentials")
}

// revisionText is the revision of all installations, as the ac-revision header has it. The lock is held.
func (c *clients) revisionText() string { return strconv.FormatInt(c.revision, 10) }

// named tells whether another app than the given one has a name already. The lock is held.
func (c *clients) named(name string, other *client) bool {
	return slices.ContainsFunc(c.all(), func(one *client) bool {
		var taken string
		return one != other && json.Unmarshal(one.manifest["client_name"], &taken) == nil && taken == name
	})
}
