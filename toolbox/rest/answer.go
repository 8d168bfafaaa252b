package rest

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// putBack keeps what was not sent for the next read, and gives back the memory of what was.
func (i *instance) putBack() {
	i.mu.Lock()
	defer i.mu.Unlock()
	kept := make([]*kgo.Record, 0, len(i.answer)+len(i.buffer))
	for _, it := range i.answer {
		kept = append(kept, it.record)
	}
	i.buffer = append(kept, i.buffer...)
	i.answer = nil
	i.share.settle(i.buffer)
}

// deliver sends the answer. Only then its records count as read.
func (i *instance) deliver(w http.ResponseWriter, media string) error {
	list, skipped, first := i.shown()
	if skipped > 0 {
		w.Header().Set(skippedHeader, strconv.Itoa(skipped))
		i.server.cfg.Log.Warn("passed over "+strconv.Itoa(skipped)+" records whose value is no JSON; the binary format shows them",
			"group", i.id.group, "instance", i.id.name, "topic", first.Topic, "partition", first.Partition, "offset", first.Offset)
	}
	// Counted before, so that who has the answer finds it counted.
	i.server.counts.consumed.Add(int64(len(list)))
	i.server.counts.skipped.Add(int64(skipped))
	if err := i.stream(w, media, list); err != nil {
		i.server.counts.consumed.Add(-int64(len(list)))
		i.server.counts.skipped.Add(-int64(skipped))
		i.warn("send an answer: its records are for the next read", err)
		return nil // the connection is broken: half an answer does not look like a whole one
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, it := range i.answer { // those of a partition lost meanwhile are gone from it
		i.positions[partitionOf(it.record)] = position{kgo.EpochOffset{Epoch: it.record.LeaderEpoch, Offset: it.record.Offset + 1}, true}
	}
	i.answer = nil
	return nil
}

// stream writes records one after the other: the answer as a whole would take several times their memory.
func (i *instance) stream(w http.ResponseWriter, media string, list []*kgo.Record) error {
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
	w.Header().Set("Content-Type", media)
	out := bufio.NewWriterSize(w, 32<<10)
	separator := "["
	for _, r := range list {
		one, err := encode(i.settings.format.view(r))
		if err != nil {
			return err
		}
		_, _ = out.WriteString(separator) // an error stays with out
		_, _ = out.Write(bytes.TrimSuffix(one, []byte("\n")))
		separator = ","
	}
	if len(list) == 0 {
		_, _ = out.WriteString(separator)
	}
	_, _ = out.WriteString("]\n")
	if err := out.Flush(); err != nil {
		return err
	}
	err := conn.Flush()
	_ = conn.SetWriteDeadline(time.Time{})
	return err
}
