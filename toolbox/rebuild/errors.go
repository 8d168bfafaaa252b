package rebuild

import (
	"fmt"
	"strings"

	"pasdetrois/toolbox/feed"
)

// DatabaseError says why the database cannot be rebuilt as it is.
type DatabaseError struct{ Text, Do string }

func (e *DatabaseError) Error() string { return e.Text }

// Hint says what to do.
func (e *DatabaseError) Hint() string { return e.Do }

// BusyError says that another rebuild of the service runs.
type BusyError struct{ Service, Holder string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another rebuild of %s runs, on %s", e.Service, e.Holder)
}

// Hint says how to go on.
func (e *BusyError) Hint() string { return "wait for its end, or end it" }

// LostError says that the lease of the rebuild was lost.
type LostError struct{ Service string }

func (e *LostError) Error() string {
	return fmt.Sprintf("the rebuild of %s lost its lease: the database crashed, or another rebuild took it over", e.Service)
}

// Hint says how to go on.
func (e *LostError) Hint() string {
	return fmt.Sprintf("run it again before you start %s", e.Service)
}

// RunsError says that a replica of the service runs.
type RunsError struct{ Service, Replica string }

func (e *RunsError) Error() string { return fmt.Sprintf("%s runs: replica %s", e.Service, e.Replica) }

// Hint says how to go on.
func (e *RunsError) Hint() string {
	return fmt.Sprintf("stop every replica of %s, and start them when the rebuild has ended", e.Service)
}

// MembersError says that a consumer group of the service has members.
type MembersError struct {
	Service, Group string
	Members        []string // client id and host
}

func (e *MembersError) Error() string {
	if len(e.Members) == 0 {
		return fmt.Sprintf("another member joined the consumer group %s just now", e.Group)
	}
	return fmt.Sprintf("the consumer group %s has %d members, %s", e.Group, len(e.Members), strings.Join(e.Members, ", "))
}

// Hint says how to go on.
func (e *MembersError) Hint() string {
	return fmt.Sprintf("stop every replica of %s and every other program in the group; a replica that was killed leaves after 10 s", e.Service)
}

// WaitingError says that records cannot be read yet. They may have decisions.
type WaitingError struct{ First feed.Waiting }

func (e *WaitingError) Error() string { return e.First.String() }

// Hint says how to go on.
func (e *WaitingError) Hint() string {
	return "run this again when that transaction has ended: kafka-transactions.sh --find-hanging shows one that does not end"
}
