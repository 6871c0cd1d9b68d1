package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"lpbridge/bridge/tracing"
	"lpbridge/config"
)

// The variables of OpenTelemetry that are read here. Those of the sampler, of batches
// and of the resource its SDK reads by itself.
const (
	otelEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otelTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	otelHeaders        = "OTEL_EXPORTER_OTLP_HEADERS"
	otelTimeout        = "OTEL_EXPORTER_OTLP_TIMEOUT"
	otelProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	otelExporter       = "OTEL_TRACES_EXPORTER"
	otelDisabled       = "OTEL_SDK_DISABLED"
)

// exportTime is how long the collector may take to answer unless OTEL_EXPORTER_OTLP_TIMEOUT
// says otherwise (OpenTelemetry, OTLP exporter configuration).
const exportTime = 10 * time.Second

// startTracing makes the tracer that OpenTelemetry's variables describe, nil when they do
// not say where spans go. stop sends what is left.
func (s *settings) startTracing(ctx context.Context) (t *tracing.Tracer, stop func(context.Context) error, err error) {
	x, err := s.exporter()
	if x == nil || err != nil {
		return nil, func(context.Context) error { return nil }, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		s.log.Warn("traces were not exported", "error", safeExportError(err))
	}))
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "lpbridge"), attribute.String("service.version", version())), resource.WithFromEnv())
	if err != nil {
		return nil, nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(x), sdk.WithResource(about))
	return tracing.New(provider), provider.Shutdown, nil
}

// safeExportError leaves the address out, which may have a credential in it.
func safeExportError(err error) string {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err.Error()
	}
	return err.Error()
}

// exporter is where spans go; nil where no variable names a collector.
func (s *settings) exporter() (*tracing.Exporter, error) {
	value := func(name string) string { v, _ := s.lookup.Lookup(name); return v }
	at := value(otelTracesEndpoint)
	if base := value(otelEndpoint); at == "" && base != "" {
		at = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if at == "" || value(otelExporter) == "none" || strings.EqualFold(value(otelDisabled), "true") {
		return nil, nil
	}
	var problems []error
	wrong := func(variable, why string) {
		problems = append(problems, config.Problem{Variable: variable, Message: why})
	}
	if u, err := url.Parse(at); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		wrong(otelEndpoint, "must be the http or https address of a collector, such as http://collector:4318")
	}
	if p := value(otelProtocol); p != "" && p != "http/json" {
		wrong(otelProtocol, "must be http/json, which collectors take at the same address as http/protobuf")
	}
	timeout := exportTime
	if text := value(otelTimeout); text != "" {
		ms, err := strconv.Atoi(text)
		if timeout = time.Duration(ms) * time.Millisecond; err != nil || ms <= 0 {
			wrong(otelTimeout, "must be a number of milliseconds")
		}
	}
	header := http.Header{}
	for pair := range strings.SplitSeq(value(otelHeaders), ",") {
		name, text, ok := strings.Cut(strings.TrimSpace(pair), "=")
		decoded, err := url.PathUnescape(text)
		if pair != "" && (!ok || name == "" || err != nil) {
			wrong(otelHeaders, "must be a list like name=value,name=value, encoded as in addresses")
			break
		}
		if ok {
			header.Set(name, decoded)
		}
	}
	return &tracing.Exporter{URL: at, Header: header, Client: &http.Client{Timeout: timeout, Transport: newChannelTransport(1, s.contained)}}, errors.Join(problems...)
}
