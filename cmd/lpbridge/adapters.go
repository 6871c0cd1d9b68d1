package main

import (
	"cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/chatwoot"
	"lpbridge/bridge/chatwootapi"
	"lpbridge/bridge/layer"
	"lpbridge/bridge/livechatai"
	"lpbridge/bridge/webhook"
)

// adapters are the channels there are, one line each.
var adapters = []adapterEntry{
	entry("webhook", func(c webhook.Config, core bridge.Core, p parts) (*webhook.Webhook, error) {
		return webhook.New(c, core, p.client, p.log)
	}, about{
		sample:  map[string]string{"WEBHOOK_TOKEN": "sample", "WEBHOOK_URL": "https://channel.example/events"},
		sandbox: map[string]string{"WEBHOOK_ALLOW_UNSIGNED": "true"},
		instead: []string{"WEBHOOK_SECRET", "WEBHOOK_SECRET_FILE", "WEBHOOK_TOKEN", "WEBHOOK_TOKEN_FILE"},
	}),
	entry("chatwootapi", func(c chatwootapi.Config, core bridge.Core, p parts) (*chatwootapi.ChatwootAPI, error) {
		c.PublicURL = cmp.Or(c.PublicURL, p.publicURL)
		return chatwootapi.New(c, core, p.log)
	}, about{
		history: chatwootapi.HistoryKinds(),
		sample:  map[string]string{"CHATWOOTAPI_INBOXES": "sample"},
		sandbox: map[string]string{"CHATWOOTAPI_INBOXES": "sandbox"},
	}),
	entry("chatwoot", func(c chatwoot.Config, core bridge.Core, p parts) (*chatwoot.Chatwoot, error) {
		return chatwoot.New(c, core, p.client, p.log)
	}, about{
		history: chatwoot.HistoryKinds(),
		sample: map[string]string{
			"CHATWOOT_BASE_URL": "https://chatwoot.example", "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "sample",
			"CHATWOOT_SECRETS": "sample", "CHATWOOT_RECEIPTS": "true",
		},
	}),
	entry("livechatai", func(c livechatai.Config, core bridge.Core, p parts) (*livechatai.LiveChatAI, error) {
		return livechatai.New(c, core, p.client, p.log)
	}, about{
		history: []string{livechatai.ReplyRecords},
		sample: map[string]string{
			"LIVECHATAI_API_KEY": "sample", "LIVECHATAI_AGENT_IDS": "sample", "LIVECHATAI_SECRET": "sample-of-a-secret",
		},
	}),
	entry("layer", func(c layer.Config, core bridge.Core, p parts) (*layer.Layer, error) {
		c.PublicURL = cmp.Or(c.PublicURL, p.publicURL)
		return layer.New(c, core, p.log)
	}, about{
		history: layer.HistoryKinds(),
		sample:  map[string]string{"LAYER_APP_IDS": "sample", "LAYER_SANDBOX_IDENTITIES": "true"},
		sandbox: map[string]string{"LAYER_APP_IDS": "sandbox", "LAYER_SANDBOX_IDENTITIES": "true"},
	}),
}
