package webhook

import (
	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// guide has the lines of the README.
const guide = `Write as a consumer, type, and look at what the agent sees:

  curl -sS {public}/channels/webhook -H 'Content-Type: application/json' -d '{"id":"evt-1","type":"message","thread":"t-42","consumer":{"id":"u-7","firstName":"Ana"},"message":{"text":"hello"}}'
  curl -sS {public}/channels/webhook -H 'Content-Type: application/json' -d '{"type":"typing","thread":"t-42","consumer":{"id":"u-7"},"typing":{"state":"composing"}}'
  curl -sS {simulator}/sim/conversations/latest`

// Registration describes the channel to the program.
func Registration() bridge.Registration[Config] {
	return bridge.Registration[Config]{
		Name: name,
		New: func(c Config, p bridge.Parts) (bridge.Adapter, error) {
			return New(c, p.Core, farside.NewClient(p.Transport, p.UserAgent), p.Log)
		},
		Example: map[string]string{"TOKEN": "example", "URL": "https://channel.example/events"},
		Sandbox: map[string]string{"ALLOW_UNSIGNED": "true", "URL": "{sink}"},
		Guide:   guide,
		Instead: []string{"SECRET", "SECRET_FILE", "TOKEN", "TOKEN_FILE"},
	}
}
