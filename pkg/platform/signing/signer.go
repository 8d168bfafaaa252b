package signing

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/batch"
)

// Signer signs the records of one service. A nil Signer signs nothing. Safe for concurrent use.
type Signer struct {
	service string
	key     ed25519.PrivateKey
	id      string
	batches *batch.Batcher[[]digest, []string]
}

// NewSigner makes the signer of a service. Close it after the last record.
func NewSigner(service string, key ed25519.PrivateKey) *Signer {
	s := &Signer{service: service, key: key, id: KeyID(key.Public().(ed25519.PublicKey))}
	s.batches = batch.New(batch.Config[[]digest, []string]{Handle: s.together})
	return s
}

// ID returns the id of the signer's key.
func (s *Signer) ID() string { return s.id }

// Close ends the signer.
func (s *Signer) Close() {
	if s != nil {
		s.batches.Close()
	}
}

// Sign returns the records, with a signature on each whose event this service signs. The records given stay as they are: another
// publication of them is signed anew, with the key of that time.
func (s *Signer) Sign(ctx context.Context, records []messages.Record) ([]messages.Record, error) {
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
		which, leaves = append(which, i), append(leaves, c.digest)
	}
	if len(which) == 0 {
		return records, nil
	}
	headers, err := s.batches.Do(ctx, leaves)
	if err != nil {
		return nil, fmt.Errorf("sign %d records: %w", len(which), err)
	}
	signed := slices.Clone(records)
	for n, i := range which {
		kept := slices.DeleteFunc(slices.Clone(signed[i].Headers), func(h messages.Header) bool { return h.Key == Header })
		signed[i].Headers = append(kept, messages.Header{Key: Header, Value: []byte(headers[n])})
	}
	return signed, nil
}

// together signs the leaves of all calls, maxLeaves with one signature, and returns the headers of each call.
func (s *Signer) together(_ context.Context, calls [][]digest) [][]string {
	leaves := slices.Concat(calls...)
	headers := make([]string, 0, len(leaves))
	for some := range slices.Chunk(leaves, maxLeaves) {
		root, paths := treeOf(some)
		sig := ed25519.Sign(s.key, about(root))
		for i, path := range paths {
			headers = append(headers, signature{key: s.id, sig: sig, at: i, path: path}.String())
		}
	}
	out := make([][]string, len(calls))
	for i, call := range calls {
		out[i], headers = headers[:len(call)], headers[len(call):]
	}
	return out
}

// about returns the bytes that are signed. They begin with the version, so a key that also signs other things is no danger.
func about(root digest) []byte { return append([]byte(version), root[:]...) }
