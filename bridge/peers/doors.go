package peers

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

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

// crowds bound how many requests of one channel are under way, so that one whose clients
// are slow leaves connections to the others.
type crowds struct {
	most int

	mu    sync.Mutex
	under map[string]int
}

func (c *crowds) enter(channel string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 0 && c.under[channel] >= c.most {
		return false
	}
	c.under[channel]++
	return true
}

func (c *crowds) leave(channel string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under[channel]--
}
