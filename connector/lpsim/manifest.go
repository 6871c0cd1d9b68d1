package lpsim

import (
	"encoding/json"
	"maps"
	"slices"
)

// webhookEntry is one event type in the manifest of an app (Webhooks Configuration).
type webhookEntry struct {
	Endpoint   string          `json:"endpoint"`
	MaxRetries *int            `json:"max_retries,omitempty"`
	Headers    []webhookHeader `json:"headers,omitempty"`
}

type webhookHeader struct {
	Name  string `json:"header_name"`
	Value string `json:"header_value"`
}

// capabilities are what an app can do. Only its webhooks matter here; the rest is kept as it was written.
type capabilities struct {
	Webhooks   map[string]json.RawMessage `json:"webhooks"`
	Engagement json.RawMessage            `json:"engagement"`
}

// readManifest is what an administrator wrote of an app, and where it wants to be told what happens. Members the page does
// not name are kept.
func readManifest(body []byte) (map[string]json.RawMessage, Webhooks, error) {
	var manifest map[string]json.RawMessage
	if !isObject(body) || json.Unmarshal(body, &manifest) != nil {
		return nil, Webhooks{}, &FieldError{"body", "is not a JSON object"}
	}
	var name string
	if json.Unmarshal(manifest["client_name"], &name) != nil || name == "" {
		return nil, Webhooks{}, &FieldError{"client_name", "is missing"}
	}
	var grants []string
	if json.Unmarshal(manifest["grant_types"], &grants) != nil || len(grants) == 0 {
		return nil, Webhooks{}, &FieldError{"grant_types", "want a list such as [\"client_credentials\"]"}
	}
	if given, ok := manifest["enabled"]; ok && string(given) != "true" && string(given) != "false" {
		return nil, Webhooks{}, &FieldError{"enabled", "want true or false"}
	}
	var can capabilities
	if given, ok := manifest["capabilities"]; ok && json.Unmarshal(given, &can) != nil {
		return nil, Webhooks{}, &FieldError{"capabilities", "want an object with webhooks and engagement"}
	}
	webhooks, err := readWebhooks(can.Webhooks)
	return manifest, webhooks, err
}

// readWebhooks takes the five event types, and retry, which holds for all of them.
func readWebhooks(given map[string]json.RawMessage) (Webhooks, error) {
	webhooks := Webhooks{Endpoints: map[EventType]Endpoint{}}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		field := "capabilities.webhooks." + name
		if name == "retry" {
			var retry struct {
				Time int `json:"retention_time"`
			}
			if json.Unmarshal(given[name], &retry) != nil {
				return Webhooks{}, &FieldError{field, "want an object with retention_time in seconds"}
			}
			webhooks.RetentionSeconds = retry.Time
			continue
		}
		var entry webhookEntry
		if json.Unmarshal(given[name], &entry) != nil || entry.Endpoint == "" {
			return Webhooks{}, &FieldError{field, "want an object with an endpoint, and maybe max_retries and headers"}
		}
		webhooks.Endpoints[EventType(name)] = entry.read()
	}
	return webhooks, webhooks.Validate()
}

func (e webhookEntry) read() Endpoint {
	out := Endpoint{URL: e.Endpoint, MaxRetries: e.MaxRetries}
	for _, header := range e.Headers {
		if out.Headers == nil {
			out.Headers = map[string]string{}
		}
		out.Headers[header.Name] = header.Value
	}
	return out
}

// manifest writes webhooks as an administrator would have.
func (w Webhooks) manifest() map[string]any {
	out := map[string]any{}
	for _, kind := range eventTypes() {
		endpoint, wanted := w.endpoint(kind)
		if !wanted {
			continue
		}
		entry := webhookEntry{Endpoint: endpoint.URL, MaxRetries: endpoint.MaxRetries}
		if retries := w.MaxRetries; entry.MaxRetries == nil && retries > 0 {
			entry.MaxRetries = &retries
		}
		all := maps.Clone(w.Headers)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, endpoint.Headers)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			entry.Headers = append(entry.Headers, webhookHeader{name, all[name]})
		}
		out[string(kind)] = entry
	}
	if w.RetentionSeconds > 0 {
		out["retry"] = map[string]int{"retention_time": w.RetentionSeconds}
	}
	return out
}
