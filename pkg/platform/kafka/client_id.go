package kafka

import "strings"

// ClientID is the client id of a service on the brokers. Quotas and the brokers' request logs use it.
func ClientID(service string) string { return "pasdetrois-" + service }

// MemberID is the client id of a replica in the service's groups. A group's coordinator shows it for each member, even for one
// that is still joining. A standby finds the members of a dead replica by it, and removes them. Without a replica's name it
// is ClientID alone, and the members of different processes cannot be told apart.
func MemberID(service, replica string) string {
	if replica == "" {
		return ClientID(service)
	}
	return ClientID(service) + "-" + replica
}

// IsReplica reports whether a member with a client id is a replica of the service. Members with other ids are strangers that
// take records away. The check compares prefixes, so no service's name may begin with another's name and a hyphen.
func IsReplica(service, id string) bool {
	return id == ClientID(service) || strings.HasPrefix(id, ClientID(service)+"-")
}
