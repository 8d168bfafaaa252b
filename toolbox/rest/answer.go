package rest

import (
	"bufio"
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// putBack returns unsent records of the answer to the front of the buffer, so that the next read has them again, in
// order. Then it frees the memory of those that were sent.
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

// deliver sends the answer. Its records count as read only afterwards: when the client is gone, the next read has them
// again. Sent means given to the connection; the server cannot see whether the client received it.
func (i *instance) deliver(w http.ResponseWriter, media string) error {
	list, skipped, first := i.shown()
	if skipped > 0 {
		w.Header().Set(skippedHeader, strconv.Itoa(skipped))
		i.server.cfg.Log.Warn("skipped "+strconv.Itoa(skipped)+" records whose value is not JSON; the binary format shows them",
			"group", i.id.group, "instance", i.id.name, "topic", first.Topic, "partition", first.Partition, "offset", first.Offset)
	}
	// The counts come first, so that a client that has the answer finds it counted.
	i.server.counts.consumed.Add(int64(len(list)))
	i.server.counts.skipped.Add(int64(skipped))
	if err := i.stream(w, media, list); err != nil {
		i.server.counts.consumed.Add(-int64(len(list)))
		i.server.counts.skipped.Add(-int64(skipped))
		i.warn("send an answer: the next read returns its records again", err)
		return nil // the connection is broken, so the client cannot take half an answer for a complete one
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, it := range i.answer { // without the records of partitions that were lost meanwhile
		i.positions[partitionOf(it.record)] = position{kgo.EpochOffset{Epoch: it.record.LeaderEpoch, Offset: it.record.Offset + 1}, true}
	}
	i.answer = nil
	return nil
}

// stream writes one record after another, because the whole answer as one text would take several times their memory. A
// client that does not take all of it within writeTime gets half an answer on a broken connection.
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
		_, _ = out.WriteString(separator) // out keeps an error until Flush
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
