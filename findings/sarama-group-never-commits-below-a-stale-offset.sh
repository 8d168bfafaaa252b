#!/usr/bin/env bash
# Software:  IBM/sarama v1.61.1 (Go 1.26), against the Kafka-protocol broker of twmb/franz-go/pkg/kfake (2026-09-18).
# Behaviour: a consumer group has a committed offset behind the end of the log, as after a topic lost records or was restored.
#            sarama's group consumer begins at Offsets.Initial without an error, reads, marks and commits every record. Yet the
#            committed offset stays where it was: marks below the first known offset are ignored. The group reads the same
#            records again after each restart, and nothing says so.
# Seen:      first run: read 5, committed 1000; second run: read 5, committed 1000
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}

// reader marks all it reads, and ends when it has read 5 records or the time is over.
type reader struct {
	read int
	done context.CancelFunc
}

func (*reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (r *reader) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for m := range c.Messages() {
		s.MarkMessage(m, "")
		if r.read++; r.read == 5 {
			s.Commit()
			r.done()
		}
	}
	return nil
}

func run(brokers []string) int {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	group, err := sarama.NewConsumerGroup(brokers, "g", c)
	must(err)
	defer group.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r := &reader{done: cancel}
	for ctx.Err() == nil {
		must(group.Consume(ctx, []string{"t"}, r))
	}
	return r.read
}

func main() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	must(err)
	defer cluster.Close()
	brokers := cluster.ListenAddrs()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	must(err)
	ctx := context.Background()
	for range 5 {
		must(client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr())
	}
	admin := kadm.NewClient(client)
	stale := kadm.Offsets{}
	stale.AddOffset("t", 0, 1000, -1)
	must(admin.CommitAllOffsets(ctx, "g", stale))
	committed := func() int64 {
		offsets, err := admin.FetchOffsets(ctx, "g")
		must(err)
		o, _ := offsets.Lookup("t", 0)
		return o.At
	}
	first := run(brokers)
	afterFirst := committed()
	second := run(brokers)
	afterSecond := committed()
	fmt.Printf("first run: read %d, committed %d; second run: read %d, committed %d\n", first, afterFirst, second, afterSecond)
	if first != 5 || afterFirst != 1000 || second != 5 || afterSecond != 1000 {
		fmt.Println("the behaviour changed")
		os.Exit(1)
	}
}
GO
cat >go.mod <<'MOD'
module finding

go 1.26

require (
	github.com/IBM/sarama v1.61.1
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
)
MOD
GOWORK=off GOFLAGS=-mod=mod go run . 2>&1 | grep -v '^go: '
exit "${PIPESTATUS[0]}"
