// Package toy is a channel as small as one can be: docs/write-a-channel.md explains it,
// tests of the program add it. Its system POSTs what consumers write to /channels/toy until
// that is answered 2xx, as is assumed, and takes what agents write at TOY_URL.
package toy

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
	"lpbridge/config"
)

// Config is what an operator chooses, in variables that begin with TOY_.
type Config struct {
	Token config.Secret `env:"TOKEN,required" desc:"Token of both directions."`
	URL   *url.URL      `env:"URL,required" desc:"Where agents' messages are POSTed."`
}

// Toy is the adapter.
type Toy struct {
	config Config
	core   bridge.Core
	door   *bridge.Door
	far    farside.Side
}

// Registration describes the channel to the program.
func Registration() bridge.Registration[Config] {
	return bridge.Registration[Config]{
		Name:    "toy",
		New:     func(c Config, p bridge.Parts) (bridge.Adapter, error) { return New(c, p), nil },
		Example: map[string]string{"TOKEN": "example", "URL": "https://toy.example"},
	}
}

// New returns the adapter.
func New(c Config, p bridge.Parts) *Toy {
	t := &Toy{config: c, core: p.Core}
	t.door = &bridge.Door{Limit: 64 << 10, Verify: t.verify, Challenge: "Bearer", Take: t.take, Log: p.Log}
	t.far = farside.Side{Client: farside.NewClient(p.Transport, p.UserAgent), Name: "the toy", Timeout: 10 * time.Second}
	return t
}

// Channel implements [bridge.Adapter].
func (t *Toy) Channel() bridge.Channel {
	messages := []bridge.Kind{bridge.KindMessage}
	return bridge.Channel{Name: "toy", Reports: messages, Delivers: messages}
}

// Routes implements [bridge.Adapter].
func (t *Toy) Routes() []bridge.Route {
	return []bridge.Route{{Pattern: "/channels/toy", Handler: t.door, Repeatable: true}}
}

func (t *Toy) verify(r *http.Request, _ []byte) error {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+t.config.Token.Reveal())) != 1 {
		return errors.New("the token is missing or wrong")
	}
	return nil
}

// message is one thing written, in either direction. Its id makes it the same
// message when it comes twice.
type message struct {
	ID     string `json:"id"`
	Chat   string `json:"chat"`
	Author string `json:"author"`
	Text   string `json:"text"`
}

func (t *Toy) take(ctx context.Context, _ *http.Request, body []byte) (bridge.Accepted, error) {
	var m message
	if err := bridge.DecodeStrict(body, &m); err != nil {
		return bridge.Accepted{}, err
	}
	return t.core.Accept(ctx, []bridge.Event{{
		ID: bridge.EventID(m.ID), Kind: bridge.KindMessage, Thread: bridge.ThreadID(m.Chat),
		Consumer: &bridge.Consumer{ID: bridge.ConsumerID(m.Author)}, Message: &bridge.Message{Text: m.Text},
	}})
}

// Deliver implements [bridge.Adapter].
func (t *Toy) Deliver(ctx context.Context, e *bridge.Event) error {
	body, err := json.Marshal(message{ID: string(e.ID), Chat: string(e.Thread), Author: "agent", Text: e.Message.Text})
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + t.config.Token.Reveal()}}
	_, err = t.far.Do(ctx, farside.Request{Method: http.MethodPost, URL: t.config.URL, Header: header, Body: bytes.NewReader(body)})
	return err
}
