package console

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"lpbridge/bridge"
)

const (
	// traceTime bounds how long the journal is searched.
	traceTime = 20 * time.Second
	// longestTraced is the longest id that is looked for, in bytes.
	longestTraced = 1000
)

// serveTrace tells the way of the event, or of the thread, that the query names.
func (c *Console) serveTrace(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	id := query.Get("id")
	if id == "" || len(id) > longestTraced {
		badRequest("id", "must be the id of an event or of a thread").ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), traceTime)
	defer cancel()
	trace, err := c.trace(ctx, query.Get("channel"), id)
	if err != nil {
		c.storeFailed("trace", err).ServeHTTP(w, r)
		return
	}
	if len(trace.Events) == 0 && len(trace.Threads) == 0 {
		(&bridge.Problem{
			Status: http.StatusNotFound, Title: "Not Found", Field: "id",
			Detail: "no event and no thread that is still kept has this id",
		}).ServeHTTP(w, r)
		return
	}
	writeJSON(w, http.StatusOK, trace)
}

// Trace asks for the way of an event or of a thread, in one channel or in all.
func (c *Client) Trace(ctx context.Context, channel, id string) (bridge.Trace, error) {
	query := url.Values{"id": {id}}
	if channel != "" {
		query.Set("channel", channel)
	}
	var trace bridge.Trace
	err := c.call(ctx, "trace", http.MethodGet, "/trace?"+query.Encode(), nil, &trace)
	return trace, err
}
