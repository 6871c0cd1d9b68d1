package connector

import (
	"context"
	"errors"
	"io"
	"net/http"

	"lpbridge/lpauth"
)

// NotificationHandler does something with a notification. LivePerson wants its
// answer within 2.5 s and disables slower apps ("Webhooks Overview" page): store
// it, and work on it afterwards. An error makes LivePerson send it again.
type NotificationHandler func(context.Context, Notification) error

// Webhook is the http.Handler of an app's webhooks ("Webhooks Notification
// Protocol" page), the same one for all five types of event. It verifies the
// signature over the raw bytes before it looks at anything else.
type Webhook struct {
	// AccountID and ClientID refuse notifications of others, unless empty.
	AccountID AccountID
	ClientID  string
	// Verify checks the signature header against the body; [lpauth.Secrets] has a
	// method for it. It is required.
	Verify func(header string, body []byte) error
	// Handle is required.
	Handle NotificationHandler
	// Unreadable, if given, is told of signed bodies that are no notification.
	// They are answered 200 all the same: they do not get better by being sent
	// again, and LivePerson holds back everything else meanwhile.
	Unreadable func(body []byte, err error)
	// MaxBytes bounds a body; zero means MaxNotificationBytes.
	MaxBytes int64
}

// ServeHTTP answers 200 once Handle has returned nil.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	rw.WriteHeader(w.serve(rw, r))
}

func (w *Webhook) serve(rw http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed
	}
	limit := w.MaxBytes
	if limit <= 0 {
		limit = MaxNotificationBytes
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return http.StatusBadRequest
	}
	if w.Verify(r.Header.Get(lpauth.SignatureHeader), body) != nil {
		return http.StatusUnauthorized
	}
	if !mine(r.Header.Get("X-Liveperson-Account-Id"), string(w.AccountID)) || !mine(r.Header.Get("X-Liveperson-Client-Id"), w.ClientID) {
		return http.StatusForbidden
	}
	n, err := ParseNotification(body)
	if err != nil {
		if w.Unreadable != nil {
			w.Unreadable(body, err)
		}
		return http.StatusOK
	}
	if w.Handle(r.Context(), n) != nil {
		rw.Header().Set("Retry-After", unhandledRetry)
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// unhandledRetry is when what could not be handled may be sent again, in seconds.
const unhandledRetry = "5"

func mine(said, known string) bool { return said == "" || known == "" || said == known }
