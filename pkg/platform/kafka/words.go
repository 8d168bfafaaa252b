package kafka

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Readable returns err with the text of InWords, for log lines and answers. Unwrap returns err, so checks by errors.Is and
// errors.As give the same results as before. nil stays nil.
func Readable(err error) error {
	if err == nil {
		return nil
	}
	text := InWords(err.Error(), err)
	if text == err.Error() {
		return err
	}
	return &inWords{text, err}
}

// inWords is an error with a text for people.
type inWords struct {
	text string
	err  error
}

func (e *inWords) Error() string { return e.text }

// Unwrap returns the library's error.
func (e *inWords) Unwrap() error { return e.err }

// InWords returns text with the meaning, and where there is one the remedy, in place of the broker's names of errors, such as
// UNKNOWN_TOPIC_ID. text contains the text of err, perhaps with more around it. Only errors of franz-go have such names.
func InWords(text string, err error) string {
	for _, code := range codes(err) {
		text = strings.ReplaceAll(text, code.Error(), meaning(code))
	}
	return text
}

// codes returns every error of the broker within err. errors.As would stop at the first one, but joined errors have several.
func codes(err error) []*kerr.Error {
	var found []*kerr.Error
	var code *kerr.Error
	switch e := err.(type) { //nolint:errorlint // each step of the chain is looked at
	case nil:
	case *kerr.Error:
		found = append(found, e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = append(found, codes(one)...)
		}
	case interface{ Unwrap() error }:
		found = codes(e.Unwrap())
	default:
		if errors.As(err, &code) {
			found = append(found, code)
		}
	}
	return found
}

// meaning returns the meaning of a broker's error. An error that has no text here gets Kafka's own description, which is a
// whole sentence. An error without a description gets its name.
func meaning(code *kerr.Error) string {
	const settling = "the group is rebalancing; try again"
	const moving = "the group's broker is changing; try again"
	const leaderless = "the partition has no leader just now; try again, and see that all brokers run"
	const unsynced = "the topic has fewer copies in sync than it asks for (min.insync.replicas); see that all brokers run"
	switch code.Code {
	case kerr.OffsetOutOfRange.Code:
		return "the topic has no record at this offset (any more)"
	case kerr.UnknownTopicOrPartition.Code:
		return "there is no such topic or partition; check its name"
	case kerr.UnknownTopicID.Code, kerr.InconsistentTopicID.Code:
		return "the topic was deleted (and perhaps created again)"
	case kerr.LeaderNotAvailable.Code, kerr.NotLeaderForPartition.Code, kerr.ReplicaNotAvailable.Code, kerr.FencedLeaderEpoch.Code,
		kerr.UnknownLeaderEpoch.Code:
		return leaderless
	case kerr.RequestTimedOut.Code:
		return "the broker did not do it in time; try again"
	case kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code:
		return "the record is larger than the topic takes (max.message.bytes)"
	case kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
		return moving
	case kerr.NotEnoughReplicas.Code, kerr.NotEnoughReplicasAfterAppend.Code:
		return unsynced
	case kerr.IllegalGeneration.Code, kerr.UnknownMemberID.Code, kerr.RebalanceInProgress.Code:
		return settling
	case kerr.InconsistentGroupProtocol.Code:
		return "the members of the group share its partitions by a rule that this program does not know; choose another group, or let them use range, roundrobin, sticky or cooperative-sticky"
	case kerr.TopicAuthorizationFailed.Code:
		return "this login may not use the topic; an ACL is missing"
	case kerr.GroupAuthorizationFailed.Code:
		return "this login may not use the group; an ACL is missing"
	case kerr.ClusterAuthorizationFailed.Code:
		return "this login may not do this to the cluster; an ACL is missing"
	case kerr.TopicAlreadyExists.Code:
		return "there is a topic of this name already"
	case kerr.NonEmptyGroup.Code:
		return "the group has members; stop them first"
	case kerr.GroupIDNotFound.Code:
		return "there is no group of this name"
	case kerr.GroupMaxSizeReached.Code:
		return "the group has as many members as the broker allows (group.max.size)"
	case kerr.UnsupportedVersion.Code:
		return "the broker is too old for this"
	}
	if code.Description == "" {
		return "the broker answered with an error that is not known here (" + code.Message + ")"
	}
	return "the broker says: " + strings.TrimRight(code.Description, ".")
}
