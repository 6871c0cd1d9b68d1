package chatwootapi

import (
	"cmp"

	"lpbridge/bridge"
)

// Registration describes the channel to the program.
func Registration() bridge.Registration[Config] {
	return bridge.Registration[Config]{
		Name: channelName,
		Together: func(c Config, p bridge.Parts) error {
			if cmp.Or(c.PublicURL, p.PublicURL) == nil {
				return errNoPublicURL
			}
			return nil
		},
		New: func(c Config, p bridge.Parts) (bridge.Adapter, error) {
			c.PublicURL = cmp.Or(c.PublicURL, p.PublicURL)
			return New(c, p.Core, p.Log)
		},
		History: historyKinds(),
		Example: map[string]string{"INBOXES": "example"},
		Sandbox: map[string]string{"INBOXES": "sandbox"},
		Guide:   `Apps for Chatwoot's public API find an inbox called "sandbox" at {public} .`,
	}
}
