package kafka

import "strings"

// ClientID is the client id of a service on the brokers.
func ClientID(service string) string { return "pasdetrois-" + service }

// MemberID is the client id of a replica in the service's groups. A group's coordinator shows it for each member, even for one
// that is still joining.
func MemberID(service, replica string) string {
	if replica == "" {
		return ClientID(service)
	}
	return ClientID(service) + "-" + replica
}

// IsReplica reports whether a member with a client id is a replica of the service.
func IsReplica(service, id string) bool {
	return id == ClientID(service) || strings.HasPrefix(id, ClientID(service)+"-")
}
