#!/usr/bin/env bash
# Software:  franz-go 1.22.2 with kadm 1.19.0, against its own broker kfake (v0.0.0-20260918054303-01f206a7e32c).
# Behaviour: kadm.Client.ListTopics is answered from the client's metadata cache, also when the same client has just created a
#            topic with CreateTopic and got its success. A loop that lists until the topic shows up therefore waits for
#            MetadataMinAge, 5 s by default, although each broker knows the topic at once. CreatePartitions empties the cache,
#            CreateTopic does not. With another client, or with kgo.MetadataMinAge(10ms), the topic is listed at once.
# Seen:      default client: the created topic is missing, and shows up after about 5 s; with a minimal age of 10 ms: within 50 ms
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'GO'
module finding

go 1.26

require (
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kadm v1.19.0
	github.com/twmb/franz-go/pkg/kfake v0.0.0-20260918054303-01f206a7e32c
)
GO
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// listedAfter creates a topic and returns how long ListTopics of the same client misses it.
func listedAfter(ctx context.Context, brokers []string, topic string, options ...kgo.Opt) (time.Duration, error) {
	client, err := kgo.NewClient(append(options, kgo.SeedBrokers(brokers...))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.ListTopics(ctx); err != nil {
		return 0, err
	}
	if _, err := admin.CreateTopic(ctx, 1, 1, nil, topic); err != nil {
		return 0, err
	}
	begin := time.Now()
	for {
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return 0, err
		}
		if topics.Has(topic) {
			return time.Since(begin), nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	usual, err := listedAfter(ctx, cluster.ListenAddrs(), "usual")
	if err != nil {
		panic(err)
	}
	fresh, err := listedAfter(ctx, cluster.ListenAddrs(), "fresh", kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		panic(err)
	}
	fmt.Printf("default client: listed after %s; with MetadataMinAge(10ms): after %s\n", usual.Round(10*time.Millisecond), fresh.Round(10*time.Millisecond))
	if usual < 2*time.Second || fresh > 2*time.Second {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run .
