package rest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

// What an instance fetched ahead of a partition that another one reads from now on is not its own any more.
func TestWhatWasFetchedOfAPartitionThatWentElsewhereIsNotAnsweredWith(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	w.fill(topic, 2, 40)
	const off = earliest + `, "auto.commit.enable": "false"`
	a := w.consumer("g", "a", off, topic)
	require.Len(t, a.get("?timeout=20000&max_bytes=1"), 1)
	require.Len(t, a.get("?timeout=20000&max_bytes=1"), 1, "the rest is fetched and waits")
	b := w.consumer("g", "b", off, topic)
	testkit.Eventually(t, b.has(1))
	testkit.Eventually(t, a.has(1))
	fromB := b.read(20)
	require.Len(t, fromB, 20)
	for _, r := range a.read(1) {
		require.NotEqual(t, fromB[0].Partition, r.Partition)
	}
}

func TestAssignedPartitionsAreReadOnFromWhereTheLastInstanceEnded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	topic := w.topic("test", 2)
	w.fill(topic, 2, 10)
	one := func(name string) *consumer {
		c := w.consumer("g", name, earliest)
		c.must("POST", c.path+"/assignments", `{"partitions": [{"topic": "`+topic+`", "partition": 0}]}`)
		return c
	}
	a := one("a")
	require.Equal(t, []string{"0", "2", "4", "6", "8"}, values(a.read(5)), "one partition, all of it")
	require.NoError(t, w.isEmpty("g"), "it is not a member of the group")
	a.must("DELETE", a.path, "")
	require.EqualValues(t, 5, w.committed("g", topic))
	b := one("b")
	w.write(topic, 0, nil, []byte(`"new"`))
	require.Equal(t, []string{"new"}, values(b.read(1)))
	b.must("POST", b.path+"/assignments", `{"partitions": []}`)
	require.Equal(t, 40903, b.call("GET", b.path+"/records", "").code(t))
	require.EqualValues(t, 6, w.committed("g", topic), "giving partitions back commits what was read of them")
}
