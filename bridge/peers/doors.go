package peers

import (
	"net/http"
	"net/url"
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

// of returns the front door of a request, which is a zero one where there is none. The
// owner minds no slash that is there twice, or once too often at the end.
func (d *doors) of(r *http.Request) bridge.Route {
	path := slashes.ReplaceAllLiteralString(r.URL.Path, "/")
	for _, as := range []string{path, strings.TrimSuffix(path, "/")} {
		asked := *r
		asked.URL = &url.URL{Path: as}
		if _, pattern := d.mux.Handler(&asked); pattern != "" {
			return d.routes[pattern]
		}
	}
	return bridge.Route{}
}
