package front

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"lpbridge/connector/lpsim"
)

// WebhookClient carries LivePerson's notifications to the bridge and notes which of
// them it took.
func (w *Watch) WebhookClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy, transport.MaxIdleConnsPerHost = nil, 64
	return &http.Client{Transport: notifying{w, transport}}
}

type notifying struct {
	watch *Watch
	next  http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (n notifying) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := n.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusOK {
		n.note(body)
	}
	return resp, err
}

// note finds the messages a notification tells of.
func (n notifying) note(body []byte) {
	var told struct {
		Body struct {
			Changes []struct {
				Sequence           *int64
				DialogID           string `json:"dialogId"`
				OriginatorMetadata struct{ Role string }
				Event              struct{ Type string }
			}
		}
	}
	// What the simulator breaks on purpose tells nothing.
	if json.Unmarshal(body, &told) != nil {
		return
	}
	at := n.watch.now()
	for _, c := range told.Body.Changes {
		if c.Sequence != nil && (c.Event.Type == "ContentEvent" || c.Event.Type == "RichContentEvent") {
			n.watch.notify(position{c.DialogID, *c.Sequence}, c.OriginatorMetadata.Role == lpsim.RoleConsumer, at)
		}
	}
}
