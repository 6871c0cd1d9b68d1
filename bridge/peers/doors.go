package peers

import (
	"net/http"
	"regexp"
	"strings"

	"lpbridge/bridge"
)

// doors know which front door a request is for, as far as its address says it. It is the
// owner who decides.
type doors struct {
	mux    *http.ServeMux
	routes map[string]bridge.Route
}

func newDoors(routes []bridge.Route) *doors {
	d := &doors{mux: http.NewServeMux(), routes: map[string]bridge.Route{}}
	for _, r := range routes {
		d.mux.Handle(r.Pattern, http.NotFoundHandler())
		d.routes[r.Pattern] = r
	}
	return d
}

var slashes = regexp.MustCompile("/{2,}")

// of returns the front door of a request, which is a zero one where there is none.
func (d *doors) of(r *http.Request) bridge.Route {
	asked := *r
	address := *r.URL
	asked.URL = &address
	if strings.Contains(address.Path, "//") {
		address.Path, address.RawPath = slashes.ReplaceAllLiteralString(address.Path, "/"), ""
	}
	_, pattern := d.mux.Handler(&asked)
	return d.routes[pattern]
}
