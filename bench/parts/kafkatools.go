package parts

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

// Tools are Kafka's own programs, run by the script that KAFKA_LOCAL names. They check our own figures by
// programs that we did not write.
type Tools struct {
	Script  string
	Brokers []string
}

// run runs a tool and returns the numbers of the last match of the pattern: a tool's last line is its summary.
// Without a script the error wraps ErrMissing.
func (t Tools) run(ctx context.Context, tool, topic string, records int, pattern string, args ...string) (numbers []float64, err error) {
	script, err := filepath.Abs(t.Script)
	if err == nil {
		_, err = os.Stat(script)
	}
	if t.Script == "" || err != nil {
		return nil, fmt.Errorf("KAFKA_LOCAL=%s names no script: Kafka's own tools are %w", t.Script, ErrMissing)
	}
	args = append([]string{tool, "--bootstrap-server", strings.Join(t.Brokers, ","), "--topic", topic, "--num-records", strconv.Itoa(records),
		"--record-size", strconv.Itoa(payload)}, args...)
	out, err := process.Run(ctx, "", nil, script, args...)
	if err != nil {
		return nil, err
	}
	// Tools print interim lines in the same form, so only the last match is the summary.
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(out, -1)
	if found == nil {
		return nil, fmt.Errorf("%s wrote no figures: %s", tool, out)
	}
	for _, text := range found[len(found)-1][1:] {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tool, err)
		}
		numbers = append(numbers, v)
	}
	return numbers, nil
}

// Producer returns the number of records per second that kafka-producer-perf-test writes with acks=all.
func (t Tools) Producer(ctx context.Context, topic string, records int) (float64, error) {
	found, err := t.run(ctx, "perf-producer", topic, records, `([0-9.]+) records/sec`, "--throughput", "-1", "--command-property", "acks=all")
	if err != nil {
		return 0, err
	}
	return found[0], nil
}

// Latency returns the median and the 99th percentile of kafka-e2e-latency. The tool reports whole milliseconds.
func (t Tools) Latency(ctx context.Context, topic string, records int) (p50, p99 float64, err error) {
	found, err := t.run(ctx, "e2e-latency", topic, records, `50th = ([0-9.]+), 99th = ([0-9.]+)`, "--producer-acks", "all")
	if err != nil {
		return 0, 0, err
	}
	return found[0], found[1], nil
}
