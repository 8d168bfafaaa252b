package limits

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"pasdetrois/bench/process"
)

// Tools are Kafka's own, run by the script that KAFKA_LOCAL names.
type Tools struct {
	Script  string
	Brokers []string
}

func (t Tools) run(ctx context.Context, args ...string) (string, error) {
	if t.Script == "" {
		return "", fmt.Errorf("KAFKA_LOCAL is not set: Kafka's own tools are %w", ErrMissing)
	}
	script, err := filepath.Abs(t.Script)
	if err == nil {
		_, err = os.Stat(script)
	}
	if err != nil {
		return "", fmt.Errorf("KAFKA_LOCAL: Kafka's own tools are %w (%s)", ErrMissing, t.Script)
	}
	return process.Run(ctx, "", nil, script, args...)
}

var (
	producerLine = regexp.MustCompile(`([0-9.]+) records/sec`)
	latencyLine  = regexp.MustCompile(`50th = ([0-9.]+), 99th = ([0-9.]+)`)
)

// Producer returns how many records of the benchmark's size a second kafka-producer-perf-test writes with acks=all.
func (t Tools) Producer(ctx context.Context, topic string, records int) (float64, error) {
	out, err := t.run(ctx, "perf-producer", "--bootstrap-server", strings.Join(t.Brokers, ","), "--topic", topic, "--num-records", strconv.Itoa(records),
		"--record-size", strconv.Itoa(payload), "--throughput", "-1", "--command-property", "acks=all")
	if err != nil {
		return 0, err
	}
	found := producerLine.FindAllStringSubmatch(out, -1)
	if found == nil {
		return 0, fmt.Errorf("perf-producer wrote no records/sec: %s", out)
	}
	return strconv.ParseFloat(found[len(found)-1][1], 64) // the last line sums up
}

// Latency returns the median and the 99th percentile that kafka-e2e-latency finds, in milliseconds. It counts whole ones.
func (t Tools) Latency(ctx context.Context, topic string, records int) (p50, p99 float64, err error) {
	out, err := t.run(ctx, "e2e-latency", "--bootstrap-server", strings.Join(t.Brokers, ","), "--topic", topic, "--num-records", strconv.Itoa(records),
		"--producer-acks", "all", "--record-size", strconv.Itoa(payload))
	if err != nil {
		return 0, 0, err
	}
	found := latencyLine.FindStringSubmatch(out)
	if found == nil {
		return 0, 0, fmt.Errorf("e2e-latency wrote no percentiles: %s", out)
	}
	if p50, err = strconv.ParseFloat(found[1], 64); err != nil {
		return 0, 0, err
	}
	p99, err = strconv.ParseFloat(found[2], 64)
	return p50, p99, err
}
