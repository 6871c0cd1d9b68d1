package bridge

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
)

const mediaJSON = "application/json"

// contentJSON is the Content-Type of what doors answer; nobody changes it.
var contentJSON = []string{mediaJSON}

// Door is a front door that takes JSON from who can prove to be who they say.
// What goes wrong is answered with a [Problem].
type Door struct {
	// Limit is the longest body taken, in bytes.
	Limit int64
	// Verify reports why a request is not believed, nil when it is. It sees the
	// body as it came. Its errors go to a stranger and to the log.
	Verify func(r *http.Request, body []byte) error
	// Challenge is the WWW-Authenticate of who is not believed.
	Challenge string
	// Take makes durable what the body says.
	Take func(ctx context.Context, r *http.Request, body []byte) (Accepted, error)
	Log  *slog.Logger
}

// ServeHTTP answers 200 once the journal has what was sent.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	accepted, err := d.accept(w, r)
	if err != nil {
		ProblemOf(err).ServeHTTP(w, r)
		return
	}
	w.Header()["Content-Type"] = contentJSON
	answer := append(make([]byte, 0, 64), `{"accepted":`...)
	answer = strconv.AppendInt(answer, int64(accepted.Events), 10)
	answer = append(answer, `,"duplicates":`...)
	answer = strconv.AppendInt(answer, int64(accepted.Duplicates), 10)
	// A sender that is gone repeats the request and gets the answer then.
	_, _ = w.Write(append(answer, "}\n"...))
}

// accept asks for the method first, because the pattern of a door has none: a
// wrong one is to be answered like every other mistake.
func (d *Door) accept(w http.ResponseWriter, r *http.Request) (Accepted, error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return Accepted{}, &Problem{
			Status: http.StatusMethodNotAllowed, Title: "Method Not Allowed", Detail: "events are sent with POST",
		}
	}
	body, err := ReadJSON(w, r, d.Limit)
	if err != nil {
		return Accepted{}, err
	}
	if err := d.Verify(r, body); err != nil {
		d.Log.DebugContext(r.Context(), "a request is not believed", "error", err)
		w.Header().Set("WWW-Authenticate", d.Challenge)
		return Accepted{}, &Problem{Status: http.StatusUnauthorized, Title: "Unauthorized", Detail: err.Error()}
	}
	return d.Take(r.Context(), r, body)
}
