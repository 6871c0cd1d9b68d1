package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
	"lpbridge/internal/packed"
)

const (
	// profilesKept is how many bytes of profiles stay in memory, and profileKept how many
	// one of them may have; the few that are longer are read again.
	profilesKept = 8 << 20
	profileKept  = 1024
	// detailKept is how many bytes of one detail are kept: more than LivePerson is
	// ever sent of it.
	detailKept = 2048
	// tellTime is how long a message may wait for news of its consumer to be told.
	tellTime = 2 * time.Second
	// namesTold bounds the attributes that are remembered as named in the log.
	namesTold = 256
)

// profiles keeps what channels tell of consumers, because they tell it in pieces
// and LivePerson wants it whole with every new conversation.
//
// A consumer's row says what LivePerson knows or will be told with the next
// conversation, so what could not be told is not saved and comes up again.
type profiles struct {
	consumers bridge.Consumers
	log       *slog.Logger
	metrics   *metrics

	// merging lets one change of a consumer's row happen at a time.
	merging mutexes

	mu   sync.Mutex
	told map[string]bool
	// known are encoded profiles as they are on disk.
	known *packed.Values
}

type consumerKey struct {
	channel string
	id      bridge.ConsumerID
}

func (k consumerKey) packed() []byte { return append(appendText(nil, k.channel), k.id...) }

func newProfiles(consumers bridge.Consumers, log *slog.Logger, m *metrics) *profiles {
	return &profiles{
		consumers: consumers, log: log, metrics: m, told: map[string]bool{},
		known: packed.New(profilesKept),
	}
}

// telling takes a profile to LivePerson. changed says that it is not what
// LivePerson knows.
type telling func(ctx context.Context, p connector.UserProfile, changed bool) error

// merge adds what an event says of a consumer to what is known, has the whole told
// and keeps it.
func (p *profiles) merge(ctx context.Context, channel string, c *bridge.Consumer, tell telling) error {
	release, err := p.merging.lock(ctx, channel+":"+string(c.ID))
	if err != nil {
		return notMerged(err)
	}
	defer release()
	key := consumerKey{channel, c.ID}
	before, err := p.read(ctx, key)
	if err != nil {
		return notMerged(err)
	}
	whole := p.decoded(key, before)
	overlay(&whole, fitting(c))
	after, err := encoded(&whole)
	if err != nil {
		return notMerged(err)
	}
	changed := !bytes.Equal(before, after)
	if err := tell(ctx, profileOf(&whole), changed); err != nil || !changed {
		return err
	}
	return p.save(ctx, key, after)
}

// notMerged is why a consumer's row could not be read or written.
func notMerged(err error) error { return connector.NotSent("merge the profile", bridge.Retry, err) }

// read returns an encoded profile, empty when there is none.
func (p *profiles) read(ctx context.Context, key consumerKey) ([]byte, error) {
	if profile, ok := p.recall(key); ok {
		return profile, nil
	}
	row, err := p.consumers.Consumer(ctx, key.channel, key.id)
	if err != nil {
		return nil, err
	}
	var profile []byte
	if row != nil {
		profile = row.Profile
	}
	p.keep(key, profile)
	return profile, nil
}

func (p *profiles) recall(key consumerKey) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	profile, ok := p.known.Get(key.packed())
	return bytes.Clone(profile), ok
}

// keep remembers a profile that is not too long for that.
func (p *profiles) keep(key consumerKey, profile []byte) {
	if len(profile) > profileKept {
		p.forget(key)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.Put(key.packed(), profile)
}

func (p *profiles) forget(key consumerKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known.Drop(key.packed())
}

// save puts a profile into the consumer's row, whose other parts stay as they are.
func (p *profiles) save(ctx context.Context, key consumerKey, profile []byte) error {
	row, err := p.consumers.Consumer(ctx, key.channel, key.id)
	if err != nil {
		return notMerged(err)
	}
	if row == nil {
		row = &bridge.ConsumerRow{Channel: key.channel, ID: key.id}
	}
	row.Profile = profile
	if err := p.consumers.SaveConsumer(ctx, *row); err != nil {
		// It may be on disk all the same.
		p.forget(key)
		return notMerged(err)
	}
	p.keep(key, profile)
	return nil
}

// decoded reads a profile. One that cannot be read costs no message.
func (p *profiles) decoded(key consumerKey, profile []byte) (c bridge.Consumer) {
	if len(profile) == 0 {
		return c
	}
	if err := json.Unmarshal(profile, &c); err != nil {
		p.metrics.leftOut.WithLabelValues(key.channel, "profile_unreadable").Inc()
		p.log.Warn("the profile kept of a consumer cannot be read and begins anew", "channel", key.channel)
		return bridge.Consumer{}
	}
	return c
}

// encoded is a profile as a row keeps it, empty when nothing is known.
func encoded(c *bridge.Consumer) ([]byte, error) {
	if !hasDetails(c) {
		return nil, nil
	}
	nameless := *c
	nameless.ID = ""
	return json.Marshal(&nameless)
}

// hasDetails reports whether anything but the id is told of a consumer.
func hasDetails(c *bridge.Consumer) bool {
	return c.FirstName+c.LastName+c.Email+c.Phone+c.AvatarURL != "" || len(c.Attributes) > 0
}

// details are the parts of a profile that channels name one by one.
func details(c *bridge.Consumer) []*string {
	return []*string{&c.FirstName, &c.LastName, &c.Email, &c.Phone, &c.AvatarURL}
}

// overlay puts what is told over what is known. What is left empty is not told.
func overlay(known *bridge.Consumer, told bridge.Consumer) {
	into := details(known)
	for i, detail := range details(&told) {
		if *detail != "" {
			*into[i] = *detail
		}
	}
	if len(told.Attributes) > 0 {
		known.Attributes = maps.Clone(known.Attributes)
		if known.Attributes == nil {
			known.Attributes = map[string]string{}
		}
		maps.Copy(known.Attributes, told.Attributes)
	}
}

// fitting is what LivePerson has a field for.
func fitting(c *bridge.Consumer) bridge.Consumer {
	fit := *c
	for _, detail := range details(&fit) {
		*detail = bounded(*detail)
	}
	fit.Attributes = map[string]string{}
	for name, value := range c.Attributes {
		if value != "" && fits(name, value) == nil {
			fit.Attributes[attributeOf(name)] = bounded(value)
		}
	}
	return fit
}

// fits says why LivePerson has no field for an attribute, nil where it has.
func fits(name, value string) error {
	return new(connector.UserProfile).SetAttribute(attributeOf(name), bounded(value))
}

// account counts what an event tells of its consumer and LivePerson is not told:
// once for an event, however often it is delivered and of however many parts.
func (p *profiles) account(e *bridge.Entry, told *bridge.Consumer) {
	if told == nil || e.Attempts > 0 || wholeOf(e.ID) != e.ID {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(told.Attributes)) {
		if value := told.Attributes[name]; value != "" {
			if err := fits(name, value); err != nil {
				p.leaveOut(e.Lane.Channel, name, err)
			}
		}
	}
}

// attributeOf is LivePerson's name of an attribute. customerType is what its pages call
// ctype (Engagement Attributes).
func attributeOf(name string) string {
	if name == "customerType" {
		return "ctype"
	}
	return name
}

func bounded(text string) string {
	if len(text) <= detailKept {
		return text
	}
	return strings.ToValidUTF8(text[:detailKept], "")
}

// harmless are names that a program gave: others could be somebody's data.
var harmless = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,31}[0-9]{0,3}$`)

// leaveOut counts an attribute LivePerson is not told, and names it once.
func (p *profiles) leaveOut(channel, name string, why error) {
	reason := "attribute_unreadable"
	if errors.Is(why, connector.ErrNoField) {
		reason = "attribute_without_place"
	}
	p.metrics.leftOut.WithLabelValues(channel, reason).Inc()
	shown := name
	if !harmless.MatchString(name) {
		shown = "(not shown)"
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told[shown] || len(p.told) >= namesTold {
		return
	}
	p.told[shown] = true
	p.log.Warn("LivePerson is not told an attribute of consumers", "channel", channel, "attribute", shown, "reason", reason)
}

// profileOf is what agents see of the consumer, whose attributes have their fields.
func profileOf(c *bridge.Consumer) connector.UserProfile {
	p := connector.UserProfile{
		FirstName: c.FirstName, LastName: c.LastName, AvatarURL: c.AvatarURL, Email: c.Email, Phone: c.Phone,
	}
	for name, value := range c.Attributes {
		// One whose field is gone was kept by another version.
		_ = p.SetAttribute(name, value)
	}
	return p
}

// sendProfile keeps what is told of the consumer and changes what agents see.
// Without a conversation nobody sees it: the next one brings it along.
func (s *sender) sendProfile(ctx context.Context, e *bridge.Entry, ev *bridge.Event) error {
	t, c, err := s.directory.current(ctx, e.ThreadKey())
	if err != nil {
		return notKnown(err)
	}
	if ev.Consumer == nil {
		return nil
	}
	return s.profiles.merge(ctx, e.Lane.Channel, ev.Consumer, func(ctx context.Context, p connector.UserProfile, _ bool) error {
		if !c.TakesMessages() || t.Consumer != "" && t.Consumer != ev.Consumer.ID {
			// The next conversation of this consumer begins with it.
			return nil
		}
		return s.lp.SetUserProfile(ctx, c.Identity(), p)
	})
}

// introduce tells agents what a message brings of its consumer. The message goes
// whatever comes of it.
func (s *sender) introduce(ctx context.Context, e *bridge.Entry, told *bridge.Consumer, to *bridge.Conversation) {
	if told == nil || !hasDetails(told) {
		return
	}
	t, err := s.directory.thread(ctx, e.ThreadKey())
	if err != nil || t == nil || t.Consumer != "" && t.Consumer != told.ID {
		// The conversation is of somebody who was one with this consumer before.
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	err = s.profiles.merge(ctx, e.Lane.Channel, told, func(ctx context.Context, p connector.UserProfile, changed bool) error {
		if !changed {
			return nil
		}
		return s.lp.SetUserProfile(ctx, to.Identity(), p)
	})
	if err != nil {
		s.metrics.leftOut.WithLabelValues(e.Lane.Channel, "profile_not_told").Inc()
		s.log.Warn("what a message says of its consumer was not told, the next one tells it", "channel", e.Lane.Channel, "conversation", to.ID, "error", err)
	}
}
