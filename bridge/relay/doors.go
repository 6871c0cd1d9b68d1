package relay

import (
	"net/http"

	"lpbridge/bridge"
)

// livePersonDoor is the channel of the front doors that are not a channel's.
const livePersonDoor = "liveperson"

// OwnRoutes are the front doors that are not a channel's, without handlers.
func OwnRoutes() []bridge.Route {
	return []bridge.Route{
		// What a notification says has dialog and sequence, or when it was last updated:
		// LivePerson itself repeats it until it is answered.
		{Pattern: "POST /webhooks/liveperson", Channel: livePersonDoor, Repeatable: true},
		{Pattern: "GET /files/{token}", Channel: livePersonDoor},
	}
}

// Routes are the front doors of the public listener.
func (b *Bridge) Routes() []bridge.Route {
	routes := OwnRoutes()
	routes[0].Handler, routes[1].Handler = b.news, b.files
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
