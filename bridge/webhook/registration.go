package webhook

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
		Example: map[string]string{"TOKEN": "example", "URL": "https://channel.example/events"},
		Sandbox: map[string]string{"ALLOW_UNSIGNED": "true"},
		Instead: []string{"SECRET", "SECRET_FILE", "TOKEN", "TOKEN_FILE"},
	}
}
