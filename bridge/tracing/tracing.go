// Package tracing tells of one message's way in spans of OpenTelemetry: from a front
// door into the journal, and from the journal to the far side. What W3C trace
// context a request brings is kept with the events it led to, so that a trace goes
// on though the process that delivers is another one.
//
// Attributes are from closed sets, or ids of ours: no text, no name, no address of a
// person or of a file. A nil [*Tracer] begins nothing and costs nothing.
//
// It assumes that whoever sends a traceparent may choose which trace we are part of: it
// decides nothing else.
package tracing

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"lpbridge/bridge"
)

// Tracer begins spans.
type Tracer struct {
	tracer trace.Tracer
	w3c    propagation.TraceContext
}

// New returns a tracer that hands its spans to a provider.
func New(p trace.TracerProvider) *Tracer { return &Tracer{tracer: p.Tracer("lpbridge")} }

// Door makes a span of each request that brings something: those that read, and
// sockets, which last for hours, are left out.
func (t *Tracer) Door(channel, pattern string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	_, route, ok := strings.Cut(pattern, " ")
	if !ok {
		route = pattern
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next.ServeHTTP(w, r)
			return
		}
		ctx := t.w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, r.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("lpbridge.channel", channel), attribute.String("http.request.method", r.Method), attribute.String("http.route", route)))
		defer span.End()
		seen := &answered{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", seen.status))
		if seen.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	})
}

// answered notes the status of an answer.
type answered struct {
	http.ResponseWriter
	status int
	wrote  bool
}

// WriteHeader implements [http.ResponseWriter].
func (a *answered) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] find the connection.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Kept is what to keep of a context beside what it led to: empty when there is no
// trace.
func (t *Tracer) Kept(ctx context.Context) string {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	t.w3c.Inject(ctx, carrier)
	return carrier.Get("traceparent")
}

// Delivery begins the span of one delivery, which belongs to the trace that brought
// the event and links to where it was accepted; end must be called with how it ended.
func (t *Tracer) Delivery(ctx context.Context, e *bridge.Entry) (_ context.Context, end func(outcome string)) {
	if t == nil {
		return ctx, func(string) {}
	}
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("lpbridge.channel", e.Lane.Channel), attribute.String("lpbridge.direction", e.Lane.Direction.String()),
		attribute.String("lpbridge.kind", string(e.Kind)), attribute.Int64("lpbridge.seq", e.Seq), attribute.Int("lpbridge.attempt", e.Attempts+1))}
	ctx, options = t.goOn(ctx, cmp.Or(e.Trace, bridge.TraceOf(e.Payload)), "accepted", options)
	ctx, span := t.tracer.Start(ctx, "deliver "+e.Lane.Direction.String(), options...) //nolint:spancheck // who makes the delivery ends it
	return ctx, func(outcome string) {                                                 //nolint:spancheck // as above
		span.SetAttributes(attribute.String("lpbridge.outcome", outcome))
		if outcome != bridge.Delivered.String() {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}

// Typing begins the span of one call that tells of typing or takes it back. It belongs
// to the trace of what the source said last, and links to it: what is told is decided
// by the clock, which may be long after. end must be called with how the call ended, and
// whether that is well.
func (t *Tracer) Typing(
	ctx context.Context, channel string, d bridge.Direction, state bridge.TypingState, kept string,
) (_ context.Context, end func(outcome string, well bool)) {
	if t == nil {
		return ctx, func(string, bool) {}
	}
	options := []trace.SpanStartOption{trace.WithAttributes(
		attribute.String("lpbridge.channel", channel), attribute.String("lpbridge.direction", d.String()), attribute.String("lpbridge.typing", string(state)))}
	ctx, options = t.goOn(ctx, kept, "observed", options)
	ctx, span := t.tracer.Start(ctx, "typing "+d.String(), options...) //nolint:spancheck // who makes the call ends it
	return ctx, func(outcome string, well bool) {                      //nolint:spancheck // as above
		span.SetAttributes(attribute.String("lpbridge.outcome", outcome))
		if !well {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}

// goOn has a span belong to a trace that was kept, if any, and link to where that was.
func (t *Tracer) goOn(ctx context.Context, kept, what string, options []trace.SpanStartOption) (context.Context, []trace.SpanStartOption) {
	if kept == "" {
		return ctx, options
	}
	ctx = t.w3c.Extract(ctx, propagation.MapCarrier{"traceparent": kept})
	return ctx, append(options, trace.WithLinks(trace.LinkFromContext(ctx, attribute.String("lpbridge.link", what))))
}

// Transport makes a span of each call that belongs to a trace and lets it go on at
// the far side. Of its address only the host is told.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{t, next}
}

type transport struct {
	*Tracer
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return t.next.RoundTrip(r)
	}
	ctx, span := t.tracer.Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("server.address", r.URL.Hostname())))
	defer span.End()
	r = r.Clone(ctx)
	t.w3c.Inject(ctx, propagation.HeaderCarrier(r.Header))
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		return resp, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= http.StatusBadRequest {
		span.SetStatus(codes.Error, strconv.Itoa(resp.StatusCode))
	}
	return resp, nil
}
