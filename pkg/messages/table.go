package messages

import "slices"

// The services, in the order in which an order meets them. A service's name is also the name of its Postgres schema and
// role, and the first part of the names of its consumer groups.
const (
	ServiceOrders        = "orders"
	ServicePayments      = "payments"
	ServiceNotifications = "notifications"
)

// Services returns the services that publish or consume an event, in the order in which an order meets them.
func Services() []string {
	var services []string
	for _, t := range registry {
		for _, service := range append([]string{t.Owner}, t.Consumers...) {
			if !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	return services
}

// Topic is one of the contract's topics.
type Topic struct {
	Name       string
	Partitions int
	Summary    string
	// First is the event that a body without `event` is.
	First string
}

// Topics returns the four topics.
func Topics() []Topic {
	return []Topic{
		{Name: TopicOrders, Partitions: 6, First: EventOrderPlaced, Summary: "Orders that users placed, those that ended confirmed or cancelled, and changes of the catalogue."},
		{Name: TopicPayments, Partitions: 3, First: EventPaymentRequested, Summary: "Payments and refunds that orders requests, and the answers of payments."},
		{Name: TopicNotifications, Partitions: 3, First: EventNotificationRequested, Summary: "Messages for users, and what became of them."},
		{Name: TopicOrderFailures, Partitions: 3, First: EventOrderRejected,
			Summary: "Orders that ended without being fulfilled: outcomes of the business, no errors."},
	}
}

// Each topic carries the events of one concern, and the key decides the partition: so the events of an order keep their order
// within a topic, and none across topics. Fewer partitions than Topics names work as well, with fewer instances sharing them.

// TopicNames returns the names of the four topics.
func TopicNames() []string {
	var names []string
	for _, topic := range Topics() {
		names = append(names, topic.Name)
	}
	return names
}

// PublishedBy reports whether service may publish the event.
func (t Type) PublishedBy(service string) bool {
	return t.Owner == service || slices.Contains(t.Others, service)
}

// ConsumedBy reports whether service acts on the event. A service acknowledges the other events of its topics.
func (t Type) ConsumedBy(service string) bool { return slices.Contains(t.Consumers, service) }

// Group names a consumer group: each service has one for each topic that it reads.
type Group struct{ Service, Topic string }

// String returns the group's id, without the prefix of an installation.
func (g Group) String() string { return g.Service + "." + g.Topic }

// Groups returns the consumer groups of all services, by service. A client that joins one of them takes records away
// from its service.
func Groups() []Group {
	var groups []Group
	for _, service := range Services() {
		for _, topic := range TopicNames() {
			if slices.Contains(Consumers(topic), service) {
				groups = append(groups, Group{service, topic})
			}
		}
	}
	return groups
}

// Consumers returns the services that read the topic.
func Consumers(topic string) []string {
	return slices.DeleteFunc(Services(), func(service string) bool {
		return !slices.ContainsFunc(registry, func(t Type) bool { return t.Topic == topic && t.ConsumedBy(service) })
	})
}

// Consumes reports whether service acts on the event of that name.
func Consumes(service, event string) bool {
	return slices.ContainsFunc(registry, func(t Type) bool { return t.Name == event && t.ConsumedBy(service) })
}

// Kinds returns the kinds of notification that the services send. Other producers may write others.
func Kinds() []string {
	return []string{KindConfirmed, KindRejected, KindFailed, KindCancelled, KindFraudAlert}
}

// SettledStatuses returns the statuses of an order that is settled: nothing more happens to it by itself. Each is also
// the kind of the notification that reports it.
func SettledStatuses() []string {
	return []string{KindConfirmed, KindRejected, KindFailed, KindCancelled}
}

// Settled reports whether status is one of SettledStatuses.
func Settled(status string) bool { return slices.Contains(SettledStatuses(), status) }
