package signing

import (
	"crypto/ed25519"
	"fmt"
	"sync"

	"pasdetrois/pkg/messages"
)

// ReasonNotSigned is the code of a record that Check refuses: readers park it with this reason.
const ReasonNotSigned = "not_signed"

// Keys are the public keys that a reader trusts, by service. Nil Keys check nothing. Safe for concurrent use.
type Keys struct {
	of map[owner]ed25519.PublicKey

	mu    sync.Mutex
	roots map[root]*checked // signatures of several records
	order []root            // of roots, the oldest first
}

// owner is a service and the id of one of its keys. A key of one service is never taken for another service's.
type owner struct{ service, id string }

// root is a signature, which a tree's records share.
type root struct {
	owner
	digest digest
	sig    [ed25519.SignatureSize]byte
}

// checked is the result for a root. The first record of the root makes it, and the others wait for it.
type checked struct {
	once  sync.Once
	valid bool
}

// maxRoots is how many results are kept. The records of a root come one soon after the other.
const maxRoots = 1024

// Check returns an error unless a key of the event's owner signed the record, of which m is the message. It returns nil for
// events that need no signature.
//
// The signature binds bytes, and a reader acts on the message. So the message must be the one that those bytes name: the type in
// the header, the event in front of the body and the decoded event are the same, and so are the header ce_id and the message's id.
func (k *Keys) Check(r messages.Record, m messages.Message) error {
	event := m.Event.EventName()
	service := messages.SignedBy(event)
	if k == nil || service == "" {
		return nil
	}
	if err := k.check(r, m, service); err != nil {
		return fmt.Errorf("%s must be signed by %s: %w", event, service, err)
	}
	return nil
}

func (k *Keys) check(r messages.Record, m messages.Message, service string) error {
	c, err := contentOf(r)
	if err != nil {
		return err
	}
	if c.signature == nil {
		return fmt.Errorf("it has no header %s", messages.SignatureHeader)
	}
	s, err := parse(string(c.signature))
	if err != nil {
		return err
	}
	of := owner{service, s.key}
	key, trusted := k.of[of]
	if !trusted {
		return fmt.Errorf("its key %s is none that is trusted of %s", messages.Shown(s.key), service)
	}
	if event, ok := messages.Announced(r); !ok || event != m.Event.EventName() || string(c.id) != m.ID {
		return fmt.Errorf("its header %s, %s and its body name different events", headerType, headerID)
	}
	top, err := rootOf(c.digest, s.at, s.path)
	if err != nil {
		return err
	}
	if len(s.sig) != ed25519.SignatureSize || !k.valid(root{of, top, [ed25519.SignatureSize]byte(s.sig)}, key, len(s.path) > 0) {
		return fmt.Errorf("its signature is not about this record")
	}
	return nil
}

// valid reports whether key made the signature of the root. The results of shared roots are kept.
func (k *Keys) valid(r root, key ed25519.PublicKey, shared bool) bool {
	if !shared {
		return ed25519.Verify(key, about(r.digest), r.sig[:])
	}
	result := k.result(r)
	result.once.Do(func() { result.valid = ed25519.Verify(key, about(r.digest), r.sig[:]) })
	return result.valid
}

func (k *Keys) result(r root) *checked {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known := k.roots[r]; known != nil {
		return known
	}
	if len(k.order) == maxRoots {
		delete(k.roots, k.order[0])
		k.order = k.order[1:]
	}
	result := &checked{}
	k.roots[r], k.order = result, append(k.order, r)
	return result
}

// Decode is messages.Decode for a reader that trusts these keys. Its error is a *messages.DecodeError with ReasonNotSigned for a
// record that Check refuses.
func (k *Keys) Decode(r messages.Record) (messages.Message, error) {
	m, err := messages.Decode(r)
	if err != nil {
		return m, err
	}
	if err := k.Check(r, m); err != nil {
		return messages.Message{}, &messages.DecodeError{Reason: ReasonNotSigned, Detail: err.Error()}
	}
	return m, nil
}
