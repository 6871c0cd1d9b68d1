package main

import (
	"lpbridge/bridge/chatwoot"
	"lpbridge/bridge/chatwootapi"
	"lpbridge/bridge/layer"
	"lpbridge/bridge/livechatai"
	"lpbridge/bridge/webhook"
)

// adapters are the channels there are, one line each.
var adapters = []adapterEntry{
	entry(webhook.Registration()),
	entry(chatwootapi.Registration()),
	entry(chatwoot.Registration()),
	entry(livechatai.Registration()),
	entry(layer.Registration()),
}
