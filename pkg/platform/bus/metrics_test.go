package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
)

// samples returns the consumer's counters, and how often its histograms were told something, one `name{labels} value` each.
func (r *running) samples(t *testing.T) []string {
	t.Helper()
	families, err := r.registry.Gather()
	require.NoError(t, err)
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetCounter().GetValue()
			if h := m.GetHistogram(); h != nil {
				value = float64(h.GetSampleCount())
			}
			all = append(all, fmt.Sprintf("%s{%s} %v", strings.TrimPrefix(f.GetName(), "pasdetrois_"), strings.Join(labels, ","), value))
		}
	}
	return all
}

func TestMetricsTellWhatBecameOfEachMessage(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	var calls atomic.Int64
	r := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		switch {
		case in.Event.OrderID == "contradicts":
			return bus.Result{Err: fault.New("contradicts_state", "no")}
		case in.Event.OrderID == "shaky" && calls.Add(1) == 1:
			return bus.Result{Err: errors.New("database away")}
		}
		return bus.Result{}
	}))
	f.publish("fine", "contradicts")
	f.write(nil, []byte("no JSON"))
	testkit.Eventually(t, f.committed(3))
	f.publish("shaky") // in no batch with others, in which it would be done over at once
	testkit.Eventually(t, f.committed(4))
	got := r.samples(t)
	for _, want := range []string{
		"messages_handled_total{event=order_placed,result=ok} 2",
		"messages_handled_total{event=order_placed,result=permanent} 1",
		"messages_handled_total{event=unknown,result=permanent} 1",
		"message_handle_seconds{event=order_placed} 3",
		"message_failures_total{result=transient} 1",
		"message_failures_total{result=permanent} 2",
	} {
		require.True(t, slices.Contains(got, want), "no %s in\n%s", want, strings.Join(got, "\n"))
	}
}
