package signing

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"time"

	"pasdetrois/pkg/messages"
)

// Signer signs what one service publishes. A nil Signer signs nothing. Safe for concurrent use.
type Signer struct {
	service string
	key     ed25519.PrivateKey
	id      string
}

// NewSigner makes the signer of a service.
func NewSigner(service string, key ed25519.PrivateKey) *Signer {
	return &Signer{service: service, key: key, id: KeyID(key.Public().(ed25519.PublicKey))}
}

// Messages signs those of the messages whose events this service signs. It sets their signature, and their source and time where
// these are missing, because they are part of what is signed. A message that cannot be encoded stays as it is: publishing it fails.
func (s *Signer) Messages(all []*messages.Message) {
	if s == nil {
		return
	}
	var which []*messages.Message
	var leaves []digest
	for _, m := range all {
		if m.Event == nil || messages.SignedBy(m.Event.EventName()) != s.service {
			continue
		}
		if m.Source == "" {
			m.Source = s.service
		}
		if m.Time.IsZero() {
			m.Time = time.Now().UTC()
		}
		m.Signature = ""
		r, err := m.Record()
		if err != nil {
			continue
		}
		if c, err := contentOf(r); err == nil {
			which, leaves = append(which, m), append(leaves, c.digest)
		}
	}
	for i, header := range s.together(leaves) {
		which[i].Signature = header
	}
}

// Records returns the records, with a signature on each that has none and whose event this service signs. The records given stay as
// they are: a record that waits in an outbox is signed when it is published, with the key of that time.
func (s *Signer) Records(records []messages.Record) ([]messages.Record, error) {
	if s == nil {
		return records, nil
	}
	var which []int
	var leaves []digest
	for i, r := range records {
		event, ok := messages.Announced(r)
		if !ok || messages.SignedBy(event) != s.service {
			continue
		}
		c, err := contentOf(r)
		if err != nil {
			return nil, fmt.Errorf("sign %s: %w", event, err)
		}
		if c.signature == nil {
			which, leaves = append(which, i), append(leaves, c.digest)
		}
	}
	if len(which) == 0 {
		return records, nil
	}
	signed := slices.Clone(records)
	for n, header := range s.together(leaves) {
		r := &signed[which[n]]
		r.Headers = append(slices.Clone(r.Headers), messages.Header{Key: messages.SignatureHeader, Value: []byte(header)})
	}
	return signed, nil
}

// together signs the leaves, maxLeaves with one signature, and returns their headers.
func (s *Signer) together(leaves []digest) []string {
	headers := make([]string, 0, len(leaves))
	for some := range slices.Chunk(leaves, maxLeaves) {
		root, paths := treeOf(some)
		sig := ed25519.Sign(s.key, about(root))
		for i, path := range paths {
			headers = append(headers, signature{key: s.id, sig: sig, at: i, path: path}.String())
		}
	}
	return headers
}

// about returns the bytes that are signed. They begin with the version, so a key that also signs other things is no danger.
func about(root digest) []byte { return append([]byte(version), root[:]...) }
