package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Exporter sends spans to a collector as OTLP in JSON over HTTP. OpenTelemetry's own
// exporter for HTTP takes gRPC, its gateway and protobuf along, which is more than
// two megabytes for a form that every collector also takes as JSON.
type Exporter struct {
	// URL is that of the collector's traces, such as http://collector:4318/v1/traces.
	URL    string
	Header http.Header
	Client *http.Client
}

// ExportSpans implements [sdk.SpanExporter].
func (x *Exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	body, err := json.Marshal(request(spans))
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	maps.Copy(req.Header, x.Header)
	req.Header.Set("Content-Type", "application/json")
	resp, err := x.Client.Do(req)
	if err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	defer resp.Body.Close()
	// An answer that was read lets the connection be used again.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("export spans: the collector answered %d", resp.StatusCode)
	}
	return nil
}

// Shutdown implements [sdk.SpanExporter].
func (x *Exporter) Shutdown(context.Context) error {
	x.Client.CloseIdleConnections()
	return nil
}

// The types below are those of OTLP (opentelemetry-proto, trace/v1), in its JSON form:
// ids in hex, numbers of 64 bits as text.
type (
	exportRequest struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	span struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		ParentID   string     `json:"parentSpanId,omitempty"`
		Name       string     `json:"name"`
		Kind       int        `json:"kind"`
		Start      string     `json:"startTimeUnixNano"`
		End        string     `json:"endTimeUnixNano"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Links      []link     `json:"links,omitempty"`
		Status     status     `json:"status"`
	}
	link struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		Attributes []keyValue `json:"attributes,omitempty"`
	}
	status struct {
		Message string `json:"message,omitempty"`
		Code    int    `json:"code,omitempty"`
	}
	keyValue struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"`
	}
)

// request has all spans below the resource they share: there is one provider.
func request(spans []sdk.ReadOnlySpan) exportRequest {
	list := make([]span, len(spans))
	for i, s := range spans {
		list[i] = encoded(s)
	}
	first := spans[0]
	return exportRequest{[]resourceSpans{{
		Resource:   resource{keyValues(first.Resource().Attributes())},
		ScopeSpans: []scopeSpans{{scope{first.InstrumentationScope().Name}, list}},
	}}}
}

func encoded(s sdk.ReadOnlySpan) span {
	out := span{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(), Name: s.Name(), Kind: int(s.SpanKind()),
		Start: nanos(s.StartTime()), End: nanos(s.EndTime()), Attributes: keyValues(s.Attributes()),
	}
	if s.Parent().HasSpanID() {
		out.ParentID = s.Parent().SpanID().String()
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, link{l.SpanContext.TraceID().String(), l.SpanContext.SpanID().String(), keyValues(l.Attributes)})
	}
	// OTLP numbers them otherwise than the SDK: 1 is well, 2 an error.
	out.Status = status{Message: s.Status().Description, Code: map[string]int{"Ok": 1, "Error": 2}[s.Status().Code.String()]}
	return out
}

func nanos(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// keyValues has what we use of attributes: texts, numbers and truth values.
func keyValues(list []attribute.KeyValue) []keyValue {
	var out []keyValue
	for _, a := range list {
		value := map[string]any{"stringValue": a.Value.String()}
		switch a.Value.Type() {
		case attribute.INT64:
			value = map[string]any{"intValue": strconv.FormatInt(a.Value.AsInt64(), 10)}
		case attribute.BOOL:
			value = map[string]any{"boolValue": a.Value.AsBool()}
		}
		out = append(out, keyValue{string(a.Key), value})
	}
	return out
}
