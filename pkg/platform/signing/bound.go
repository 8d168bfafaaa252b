package signing

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"pasdetrois/pkg/messages"
)

// version begins every digest: a signature of another version of this package says nothing in this one.
const version = "pasdetrois signature 1\n"

// The headers that a signature binds. They are those by which a reader decides something.
const (
	headerID      = "ce_id"
	headerType    = "ce_type"
	headerSource  = "ce_source"
	headerOutside = "ce_outside"
)

// digest is a leaf or a node of the tree.
type digest [sha256.Size]byte

// The first byte of what is hashed tells leaves and nodes apart.
const (
	isLeaf = 0
	isNode = 1
)

// content is what a record's signature is about.
type content struct {
	id, typ, source, outside []byte
	signature                []byte // nil without one
	digest                   digest
}

// contentOf reads the bound parts of a record. A reader takes the last one of two headers, and another reader may take the first:
// a bound header that stands twice is an error.
func contentOf(r messages.Record) (content, error) {
	var c content
	for _, h := range r.Headers {
		var to *[]byte
		switch h.Key {
		case headerID:
			to = &c.id
		case headerType:
			to = &c.typ
		case headerSource:
			to = &c.source
		case headerOutside:
			to = &c.outside
		case messages.SignatureHeader:
			to = &c.signature
		default:
			continue
		}
		if *to != nil {
			return content{}, fmt.Errorf("its header %s stands twice", h.Key)
		}
		if *to = h.Value; h.Value == nil {
			*to = []byte{}
		}
	}
	c.digest = c.leaf(r)
	return c, nil
}

// leaf hashes the bound parts, each behind its length.
func (c content) leaf(r messages.Record) digest {
	b := make([]byte, 0, 1024)
	b = append(append(b, isLeaf), version...)
	for _, part := range [...][]byte{[]byte(r.Topic), r.Key, c.id, c.typ, c.source, c.outside, r.Value} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	return sha256.Sum256(b)
}
