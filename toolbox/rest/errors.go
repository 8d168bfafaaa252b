package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
)

// Error is the answer to a failed call: an HTTP status and the API's own code. A code with five digits begins with the
// status. Message is for people, and may be reworded.
type Error struct {
	Status  int    `json:"-"`
	Code    int    `json:"error_code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// The codes of the API, as its documentation numbers them. Clients compare them, so they never change.
const (
	codeUnauthorized      = 40101
	codeForbidden         = 40301
	codeTopicNotFound     = 40401
	codePartitionNotFound = 40402
	codeInstanceNotFound  = 40403
	codeFormatMismatch    = 40601
	codeInstanceExists    = 40902
	codeIllegalState      = 40903
	codeConversion        = 42203
	codeConsumerConfig    = 42204
	codeKafka             = 50002
	codeKafkaRetriable    = 50003
	codeTooManyConsumers  = 50301
)

// The error codes of single records in a produce answer: a retry does not help, or helps. A retriable record may have
// been written already, so its retry may write it twice.
const (
	recordFailed    = 1
	recordRetriable = 2
)

// failed makes an Error with the status that the code begins with.
func failed(code int, format string, args ...any) *Error {
	status := code
	if code > 999 {
		status = code / 100
	}
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// withStatus makes an Error for a case to which the API gives no code: the status is the code.
func withStatus(status int) *Error {
	return failed(status, "HTTP %d %s", status, http.StatusText(status))
}

func unauthorized(message string) *Error { return failed(codeUnauthorized, "%s", message) }

func topicNotFound(topic string) *Error {
	return failed(codeTopicNotFound, "Topic not found: there is no topic %q.", topic)
}

func partitionNotFound(topic string, partition any) *Error {
	return failed(codePartitionNotFound, "Partition not found: topic %q has no partition %v.", topic, partition)
}

func instanceNotFound() *Error {
	return failed(codeInstanceNotFound, "Consumer instance not found.")
}

// illegalState is the answer to a call that the instance's present state does not allow.
func illegalState(format string, args ...any) *Error {
	return failed(codeIllegalState, "Illegal state: "+format, args...)
}

// invalid is the answer to a request that can be read and makes no sense (422).
func invalid(format string, args ...any) *Error {
	return failed(http.StatusUnprocessableEntity, format, args...)
}

// kafkaError turns an error of Kafka, or of the connection to it, into the API's answer: a topic that does not exist,
// an error that a retry may heal (50003), or another one (50002). An Error stays as it is.
func kafkaError(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) {
		return failed(codeTopicNotFound, "Topic not found.")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failed(codeKafkaRetriable, "Retriable Kafka error: Kafka does not answer")
	}
	if isRetriable(err) {
		return failed(codeKafkaRetriable, "Retriable Kafka error: %s", oneLine(err))
	}
	return failed(codeKafka, "Kafka error: %s", oneLine(err))
}

// isRetriable reports whether a retry may help: an outage, a time-out, or a change in the group. A change in the group
// is over when the instance has joined again.
func isRetriable(err error) bool {
	var network net.Error
	return kerr.IsRetriable(err) || errors.As(err, &network) || errors.Is(err, io.EOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrRecordTimeout) ||
		errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID)
}

// oneLine returns the error's text on one line and in plain words, for an answer.
func oneLine(err error) string { return strings.Join(strings.Fields(kafka.Readable(err).Error()), " ") }

// writeError answers with err. Any error but Error is answered as an internal error without details, which may be
// secret. An answer 503 asks the client to retry after a second.
func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = withStatus(http.StatusInternalServerError)
	}
	body, _ := encode(e) // two fields that JSON can say
	w.Header().Set("Content-Type", mediaV2)
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(e.Status)
	_, _ = w.Write(body)
}
