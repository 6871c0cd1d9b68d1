package relay

import (
	"net/http"

	"lpbridge/bridge"
)

// livePersonDoor is the channel of the front doors that are not a channel's.
const livePersonDoor = "liveperson"

// Routes are the front doors of the public listener.
func (b *Bridge) Routes() []bridge.Route {
	routes := []bridge.Route{
		{Pattern: "POST /webhooks/liveperson", Handler: b.news, Channel: livePersonDoor},
		{Pattern: "GET /files/{token}", Handler: b.files, Channel: livePersonDoor},
	}
	for _, ch := range b.Channels() {
		for _, r := range b.adapters[ch.Name].Routes() {
			r.Channel = ch.Name
			routes = append(routes, r)
		}
	}
	return routes
}

// frontDoors is the public listener as a file under our own address sees it.
func (b *Bridge) frontDoors() http.Handler {
	mux := http.NewServeMux()
	for _, route := range b.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	return mux
}
