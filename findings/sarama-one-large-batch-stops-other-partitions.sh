#!/usr/bin/env bash
# Software:  IBM/sarama v1.61.1 (Go 1.26), against the Kafka-protocol broker of twmb/franz-go/pkg/kfake (2026-09-18).
# Behaviour: the variable sarama.MaxDecompressedBatchSize bounds what one record batch may inflate to. A batch above the bound in one
#            partition makes the consumer reject the whole answer of the broker. Another partition of the same topic, whose
#            records are small and plain, gets the same error and delivers nothing, fetch after fetch. A reader would expect
#            the bound to stop the partition with the large batch only, or to step over that batch.
# Seen:      bounded: partition 0: 0 records, errors: true; partition 1: 0 of 3 records, errors: true
#            unbounded: partition 0: 1 records; partition 1: 3 of 3 records
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
}

// read consumes both partitions for a while and returns how many records and errors each gave.
func read(brokers []string, bound int) (records, errors [2]int) {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Consumer.Return.Errors = true
	c.Consumer.Retry.Backoff = 200 * time.Millisecond
	sarama.MaxDecompressedBatchSize = int32(bound)
	consumer, err := sarama.NewConsumer(brokers, c)
	must(err)
	var of [2]sarama.PartitionConsumer
	for p := range of {
		of[p], err = consumer.ConsumePartition("t", int32(p), sarama.OffsetOldest)
		must(err)
	}
	end := time.After(4 * time.Second)
	for {
		select {
		case <-of[0].Messages():
			records[0]++
		case <-of[1].Messages():
			records[1]++
		case <-of[0].Errors():
			errors[0]++
		case <-of[1].Errors():
			errors[1]++
		case <-end:
			return records, errors
		}
	}
}

func main() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	must(err)
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.ProducerBatchMaxBytes(16<<20))
	must(err)
	write := func(p int32, value []byte) {
		must(client.ProduceSync(context.Background(), &kgo.Record{Topic: "t", Partition: p, Value: value}).FirstErr())
	}
	write(0, bytes.Repeat([]byte("x"), 8<<20))
	for range 3 {
		write(1, []byte("small"))
	}
	bounded, failed := read(cluster.ListenAddrs(), 1<<20)
	free, _ := read(cluster.ListenAddrs(), 0)
	fmt.Printf("bounded: partition 0: %d records, errors: %v; partition 1: %d of 3 records, errors: %v\n", bounded[0], failed[0] > 0, bounded[1], failed[1] > 0)
	fmt.Printf("unbounded: partition 0: %d records; partition 1: %d of 3 records\n", free[0], free[1])
	if bounded != [2]int{0, 0} || failed[0] == 0 || failed[1] == 0 || free != [2]int{1, 3} {
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
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
)
MOD
GOWORK=off GOFLAGS=-mod=mod go run . 2>&1 | grep -v '^go: '
exit "${PIPESTATUS[0]}"
