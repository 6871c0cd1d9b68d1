package livechatai

import (
	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// Registration describes the channel to the program.
func Registration() bridge.Registration[Config] {
	return bridge.Registration[Config]{
		Name: name,
		New: func(c Config, p bridge.Parts) (bridge.Adapter, error) {
			return New(c, p.Core, farside.NewClient(p.Transport, p.UserAgent), p.Log)
		},
		History: []string{replyRecords},
		Example: map[string]string{"API_KEY": "example", "AGENT_IDS": "example", "SECRET": "example-of-a-secret"},
	}
}
