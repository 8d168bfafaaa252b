package rest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// settings are the settings with which an instance was created. They never change.
type settings struct {
	format     format
	reset      string // where to begin without a committed offset: earliest, latest, none
	autoCommit bool
	minBytes   int // end a read once it has so many; <= 0: once no more come
	timeout    time.Duration
	joinTime   time.Duration // how much longer the first read may take; 0 when the client set a timeout
}

// settings returns the settings of a request, with the API's defaults for those that are missing: binary, latest,
// auto.commit.enable. A wrong value is an error: a default in its place could lose records.
func (in createRequest) settings() (settings, error) {
	set := settings{format: formatBinary, reset: "latest", autoCommit: true, minBytes: -1, timeout: readTime, joinTime: joinTime}
	if in.Format != nil {
		switch set.format = format(*in.Format); set.format {
		case formatJSON, formatBinary:
		case "avro", "jsonschema", "protobuf":
			return set, invalid("Invalid format type: %s needs a schema registry, which this server has not: use json or binary", set.format)
		default:
			return set, invalid("Invalid format type: %q is not json or binary", set.format)
		}
	}
	if in.OffsetReset != nil {
		switch set.reset = *in.OffsetReset; set.reset {
		case "earliest", "latest", "none":
		default:
			return set, badSetting("auto.offset.reset", set.reset, "earliest, latest or none")
		}
	}
	if in.AutoCommit != nil {
		switch fmt.Sprint(in.AutoCommit) {
		case "true":
		case "false":
			set.autoCommit = false
		default:
			return set, badSetting("auto.commit.enable", in.AutoCommit, "true or false")
		}
	}
	if in.FetchMinBytes != nil {
		n, err := number(in.FetchMinBytes)
		if err != nil || n < -1 || n > 10_000_000 {
			return set, badSetting("fetch.min.bytes", in.FetchMinBytes, "a number from -1 to 10000000")
		}
		set.minBytes = n
	}
	if in.RequestTimeout != nil {
		n, err := number(in.RequestTimeout)
		if err != nil || n < 0 {
			return set, badSetting("consumer.request.timeout.ms", in.RequestTimeout, "a number of milliseconds")
		}
		set.timeout, set.joinTime = min(time.Duration(n)*time.Millisecond, maxReadTime), 0
	}
	return set, nil
}

func badSetting(name string, value any, want string) error {
	return failed(codeConsumerConfig, "Invalid consumer configuration: %s is %v instead of %s", name, value, want)
}

// number reads a whole number that may have come as text.
func number(v any) (int, error) {
	if f, ok := v.(float64); ok {
		if n := int(f); float64(n) == f {
			return n, nil
		}
	}
	return strconv.Atoi(fmt.Sprint(v))
}

// begin returns the reset setting in the form of franz-go. "none" makes a read without a committed offset fail.
func (s settings) begin() kgo.Offset {
	switch s.reset {
	case "earliest":
		return kgo.NewOffset().AtStart()
	case "none":
		return kgo.NewOffset().AtCommitted()
	default:
		return kgo.NewOffset().AtEnd()
	}
}
