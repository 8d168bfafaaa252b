package bus

// MaxInflated is how much one batch may inflate to, in bytes, and still be read by the services. Tools that read the same
// topics have the same bound: they would else know of messages that no service handled.
const MaxInflated = maxInflated

// BesideOffset returns the text that the services keep beside a committed offset: it says which topic of that name the
// offset belongs to. A program that moves the offset writes it too.
func BesideOffset(topicID string) string { return besideOffset(topicID) }

// TopicIDBeside returns the topic's id in such a text, "" when it has none.
func TopicIDBeside(text string) string { return topicIDIn(text) }
