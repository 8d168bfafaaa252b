package rest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"

	toolkafka "pasdetrois/toolbox/kafka"
)

// producerOptions make an acknowledged record durable and written once: acks from all in-sync replicas, idempotent,
// which are the library's defaults. A record that Kafka does not take within kafkaTime fails. Records that wait for
// Kafka take maxBuffered bytes at most.
func producerOptions(cfg Config) ([]kgo.Opt, error) {
	options, err := connectionOptions(cfg)
	return append(options,
		kgo.RecordDeliveryTimeout(kafkaTime),
		kgo.RecordPartitioner(chooser{kgo.StickyKeyPartitioner(nil)}),
		kgo.MaxBufferedBytes(maxBuffered),
		kgo.UnknownTopicRetries(1),
	), err
}

// connectionOptions bound the wait for a Kafka that accepts connections and does not answer to hangTime.
func connectionOptions(cfg Config) ([]kgo.Opt, error) {
	where := cfg.Kafka
	where.Brokers = cfg.Brokers
	options, err := toolkafka.Options(where)
	return append(options,
		kgo.ClientID("pas-rest"),
		kgo.DialTimeout(hangTime),
		kgo.RequestTimeoutOverhead(hangTime),
	), err
}

// produceRequest is the body of a produce call. This server has no formats with schemas. Their fields are here because
// clients send them as null, and decode rejects unknown fields.
type produceRequest struct {
	KeySchema     *string         `json:"key_schema"`
	KeySchemaID   *int            `json:"key_schema_id"`
	ValueSchema   *string         `json:"value_schema"`
	ValueSchemaID *int            `json:"value_schema_id"`
	Records       []produceRecord `json:"records"`
}

type produceRecord struct {
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Partition *int32          `json:"partition"`
}

type produceAnswer struct {
	Offsets       []recordResult `json:"offsets"`
	KeySchemaID   *int           `json:"key_schema_id"`
	ValueSchemaID *int           `json:"value_schema_id"`
}

// recordResult is the result of one record, in the request's order: partition and offset, or an error. The unused
// fields are null.
type recordResult struct {
	Partition *int32  `json:"partition"`
	Offset    *int64  `json:"offset"`
	ErrorCode *int    `json:"error_code"`
	Error     *string `json:"error"`
}

func (s *Server) produce(w http.ResponseWriter, r *http.Request) error {
	return s.produceRecords(w, r, nil)
}

// produceTo is produce into the partition of the path.
func (s *Server) produceTo(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.ParseInt(r.PathValue("partition"), 10, 32)
	if err != nil || number < 0 {
		return partitionNotFound(r.PathValue("topic"), r.PathValue("partition"))
	}
	partition := int32(number)
	return s.produceRecords(w, r, &partition)
}

// produceRecords writes the records of a request, all into partition unless that is nil. It writes no record when any
// part of the request is wrong. The cheap checks come before the body, so a request that is not allowed costs no
// memory.
//
// The answer is 200 as soon as one record was tried, also if all of them failed: each record has its own result.
func (s *Server) produceRecords(w http.ResponseWriter, r *http.Request, partition *int32) error {
	topic := r.PathValue("topic")
	f, err := produceFormat(r)
	if err != nil {
		return err
	}
	media, err := answerType(r)
	if err != nil {
		return err
	}
	if err := s.writable(r.Context(), topic); err != nil {
		return err
	}
	body, err := readBody(w, r, maxProduceBytes)
	if err != nil {
		return err
	}
	var in produceRequest
	if err := decode(body, &in); err != nil {
		return err
	}
	list, highest, err := in.toKafka(topic, f, partition)
	if err != nil {
		return err
	}
	// A record that was begun is written although the client is gone, so this context outlives the request's.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), kafkaTime)
	defer cancel()
	count, err := s.partitionsOf(ctx, topic, highest)
	if err != nil {
		return err
	}
	if highest >= count {
		return partitionNotFound(topic, highest)
	}
	return respond(w, media, produceAnswer{Offsets: s.write(ctx, list)})
}

// toKafka returns the records for Kafka, and the highest partition that one of them names. Its errors name the record.
func (in produceRequest) toKafka(topic string, f format, partition *int32) ([]*kgo.Record, int32, error) {
	if len(in.Records) == 0 {
		return nil, 0, invalid("records may not be empty")
	}
	if len(in.Records) > maxRecords {
		return nil, 0, invalid("records may not be more than %d", maxRecords)
	}
	list, highest := make([]*kgo.Record, len(in.Records)), int32(0)
	for i, record := range in.Records {
		key, err := f.bytes("key", record.Key)
		if err != nil {
			return nil, 0, err
		}
		value, err := f.bytes("value", record.Value)
		if err != nil {
			return nil, 0, err
		}
		out := &kgo.Record{Topic: topic, Key: key, Value: value, Partition: anyPartition}
		switch {
		case record.Partition != nil && *record.Partition < 0:
			return nil, 0, invalid("records[%d].partition must be greater than or equal to 0", i)
		case record.Partition != nil && partition != nil && *record.Partition != *partition:
			return nil, 0, invalid("records[%d].partition is another one than the request's", i)
		case record.Partition != nil:
			out.Partition = *record.Partition
		case partition != nil:
			out.Partition = *partition
		}
		highest = max(highest, out.Partition)
		list[i] = out
	}
	return list, highest, nil
}

// bytes returns an embedded key or value as Kafka keeps it: JSON without the spaces between its parts, or the decoded
// base64. Null and a missing field mean null, which in a value is a tombstone.
func (f format) bytes(what string, embedded json.RawMessage) ([]byte, error) {
	if len(embedded) == 0 || string(embedded) == "null" {
		return nil, nil
	}
	if f == formatJSON {
		var compact bytes.Buffer
		err := json.Compact(&compact, embedded)
		return compact.Bytes(), err
	}
	var text string
	if err := json.Unmarshal(embedded, &text); err != nil {
		return nil, invalid("Record %s is not a string of base64", what)
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, invalid("Record %s contains invalid base64 encoding", what)
	}
	return decoded, nil
}

// write writes the records and returns the result of each, when all are known or ctx ends. A record without a result by
// then has the error errUnknownOutcome, and a retry of it may write it twice.
//
// Records are produced in another goroutine, because Produce blocks while the client's buffer is full. That goroutine
// may live on after write has returned, until the records' own time-out.
func (s *Server) write(ctx context.Context, list []*kgo.Record) []recordResult {
	type outcome struct {
		index int
		err   error
	}
	outcomes := make(chan outcome, len(list)) // buffered for all, so that the client never blocks after write has returned
	errs := make([]error, len(list))
	for i := range errs {
		errs[i] = errUnknownOutcome
	}
	go func() {
		for i, record := range list {
			s.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
				if err == nil {
					s.counts.produced.Add(1)
				} else {
					s.counts.refused.Add(1)
				}
				outcomes <- outcome{i, err}
			})
		}
	}()
	results := make([]recordResult, len(list))
collect:
	for range list {
		select {
		case o := <-outcomes:
			errs[o.index] = o.err
			if o.err == nil {
				results[o.index] = recordResult{Partition: &list[o.index].Partition, Offset: &list[o.index].Offset}
			}
		case <-ctx.Done():
			break collect
		}
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		code, text := recordFailed, oneLine(err)
		if isRetriable(err) || errors.Is(err, errUnknownOutcome) {
			code = recordRetriable
		}
		results[i] = recordResult{ErrorCode: &code, Error: &text}
	}
	return results
}

// errUnknownOutcome is the error of a record without an answer in time. Kafka may have the record.
var errUnknownOutcome = errors.New("no answer from Kafka in time: the record may have been written")

// anyPartition is the Partition of a record that names none.
const anyPartition = -1

// chooser puts a record into the partition that it names. Otherwise it uses the partition that every Kafka client
// computes from the key. So records of one key keep their order, whichever program writes them.
type chooser struct{ kgo.Partitioner }

func (c chooser) ForTopic(topic string) kgo.TopicPartitioner {
	return &topicChooser{c.Partitioner.ForTopic(topic)}
}

type topicChooser struct{ kgo.TopicPartitioner }

// RequiresConsistency also holds for a named partition: franz-go must then count partitions without a leader, too, or
// the number would mean another partition.
func (c *topicChooser) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition != anyPartition || c.TopicPartitioner.RequiresConsistency(r)
}

// Partition returns the record's own partition, if it names one. produceRecords has checked that it exists.
func (c *topicChooser) Partition(r *kgo.Record, n int) int {
	if r.Partition != anyPartition {
		return int(r.Partition)
	}
	return c.TopicPartitioner.Partition(r, n)
}

// OnNewBatch lets records without a key change the partition with each batch.
func (c *topicChooser) OnNewBatch() {
	if sticky, ok := c.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		sticky.OnNewBatch()
	}
}
