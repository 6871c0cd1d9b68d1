package chatwoot

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
		History: historyKinds(),
		Example: map[string]string{
			"BASE_URL": "https://chatwoot.example", "ACCOUNT_ID": "1", "TOKEN": "example", "SECRETS": "example", "RECEIPTS": "true",
		},
	}
}
