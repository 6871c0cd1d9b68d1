package console

import (
	"errors"
	"net/http"
	"time"

	"lpbridge/bridge"
)

// resumedAnswer is the answer of a resume.
type resumedAnswer struct {
	// FarSide is the one that is asked at once whether it is well again.
	FarSide string `json:"farSide"`
}

// resume lets a far side be asked at once that is not well: one that said to come
// back much later, or whose credential an operator has mended.
func (c *Console) resume(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := c.bridge.Resume(name)
	switch {
	case errors.Is(err, bridge.ErrNoFarSide):
		(&bridge.Problem{
			Status: http.StatusNotFound, Title: "Not Found", Field: "name",
			Detail: "there is no far side of this name; they are liveperson and the channels that run",
		}).ServeHTTP(w, r)
	case err != nil:
		(&bridge.Problem{
			Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: err.Error(), RetryAfter: time.Second,
		}).ServeHTTP(w, r)
	default:
		c.resumes.WithLabelValues(name).Inc()
		c.log.Info("a far side is asked at once whether it is well", "far_side", name, "remote", r.RemoteAddr)
		writeJSON(w, http.StatusOK, resumedAnswer{FarSide: name})
	}
}
