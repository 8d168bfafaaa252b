package erasure

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
)

// Person is a user to erase, as rows and records show the user. Each service finds the addresses in its own rows.
type Person struct {
	User      string
	Addresses []string // without the default address
	quoted    []byte   // the user id as JSON text
}

// NewPerson returns the person with a user id.
func NewPerson(user string) *Person {
	quoted, _ := json.Marshal(user) // text always has JSON
	return &Person{User: user, quoted: quoted}
}

// Writes adds addresses that the person was written to at.
func (p *Person) Writes(addresses ...string) {
	for _, a := range addresses {
		if a != "" && !strings.HasSuffix(a, "@"+messages.ErasedDomain) {
			p.Addresses = append(p.Addresses, a)
		}
	}
}

// In reports whether a record is about the person. The user that it names decides. Two users may share an address, so only a record
// that names no user counts by the person's id or address in its bytes.
func (p *Person) In(r messages.Record) bool {
	if m, err := messages.Decode(r); err == nil {
		return messages.UserOf(m.Event) == p.User
	}
	named := false
	for user := range usersIn(r.Value) {
		if named = true; user == p.User {
			return true
		}
	}
	return !named && p.inText(r.Value)
}

// InLetter reports whether a letter's record or texts are about the person.
func (p *Person) InLetter(l deadletter.Letter) bool {
	return p.In(l.Record) || bytes.Contains([]byte(l.Detail), p.quoted) || bytes.Contains([]byte(l.Stack), p.quoted)
}

func (p *Person) inText(text []byte) bool {
	if bytes.Contains(text, p.quoted) {
		return true
	}
	for _, a := range p.Addresses {
		if bytes.Contains(text, []byte(a)) {
			return true
		}
	}
	return false
}

// userPattern finds user ids in text that need not be whole or valid JSON.
var userPattern = regexp.MustCompile(`"user_id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)`)

// usersIn returns the users that a value names, as far as it can be read.
func usersIn(value []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, found := range userPattern.FindAllSubmatch(value, -1) {
			user := string(found[1])
			if strings.HasPrefix(user, `"`) {
				if json.Unmarshal(found[1], &user) != nil {
					continue
				}
			}
			if !yield(user) {
				return
			}
		}
	}
}

// InRecord reports whether a record names a user who was erased after the record was made. It also reads records that no service can
// decode.
func (r *Register) InRecord(record messages.Record) bool {
	if !r.Any() {
		return false
	}
	made := record.Time
	if m, err := messages.Decode(record); err == nil {
		made = m.Time
		if _, erased := r.Of(messages.UserOf(m.Event), made); erased {
			return true
		}
	}
	for user := range usersIn(record.Value) {
		if _, erased := r.Of(user, made); erased {
			return true
		}
	}
	return false
}
