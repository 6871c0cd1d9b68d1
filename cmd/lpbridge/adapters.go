package main

import (
	"lpbridge/bridge"
	"lpbridge/bridge/webhook"
)

// adapters are the channels there are, one line each.
var adapters = []adapterEntry{
	entry("webhook", func(c webhook.Config, core bridge.Core, p parts) (*webhook.Webhook, error) {
		return webhook.New(c, core, p.client, p.log)
	}, about{
		sample:  map[string]string{"WEBHOOK_TOKEN": "sample", "WEBHOOK_URL": "https://channel.example/events"},
		sandbox: map[string]string{"WEBHOOK_ALLOW_UNSIGNED": "true"},
	}),
}
