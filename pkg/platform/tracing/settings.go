package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

// The values of Settings.Protocol.
const (
	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

// Settings name the collector of spans. Services have them in their own Config. OpenTelemetry itself reads all other variables of
// its specification from the process's environment: headers, timeout, certificate, compression, sampler, resource attributes,
// and the batches of spans.
type Settings struct {
	Endpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"collector that gets traces, such as http://localhost:4318; none: no traces are made"`
	Protocol string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" desc:"protocol of the collector: http/protobuf or grpc"`
}

// Validate returns all problems joined.
func (s Settings) Validate() error {
	var errs []error
	if s.Endpoint != "" {
		u, err := url.Parse(s.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			errs = append(errs, errors.New("OTEL_EXPORTER_OTLP_ENDPOINT: give a URL such as http://localhost:4318"))
		}
	}
	if s.Protocol != "" && s.Protocol != protocolHTTP && s.Protocol != protocolGRPC {
		errs = append(errs, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is neither %s nor %s", s.Protocol, protocolHTTP, protocolGRPC))
	}
	return errors.Join(errs...)
}

// exporter returns the client of the endpoint. It does not connect yet. Over HTTP the specification appends v1/traces to the
// endpoint.
func (s Settings) exporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if s.Protocol == protocolGRPC {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(s.Endpoint))
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.JoinPath("v1", "traces").String()))
}

// collector is the endpoint's host and port, for the log: the whole URL may contain a token.
func (s Settings) collector() string {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return "the collector"
	}
	return u.Host
}
