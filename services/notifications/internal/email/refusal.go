package email

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strings"
	"sync"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// refusal classifies a server's answer for the email to one address. A final refusal is a permanent error with the reason
// smtp_refused. After any other error another attempt may succeed.
//
// A 5xx is final only when it is about this address or this text. A denied relay, a missing login, a blocked sender or a
// used-up quota refuses every email until an operator repairs the set-up. Then all of them must be sent.
func (s *SMTP) refusal(at stage, err error, to string) error {
	server := s.server.address()
	var answer *textproto.Error
	if !errors.As(err, &answer) {
		if at == atAnswer {
			err = fmt.Errorf("%w: %w", domain.ErrOutcomeUnknown, err)
		}
		return fmt.Errorf("send through %s: %w", server, err)
	}
	final := false
	if answer.Code >= 500 && at != atSender {
		if found := enhanced.FindStringSubmatch(answer.Msg); found != nil {
			final = aboutThisEmail(found[1])
		} else {
			final = aboutThisCode(answer.Code) && s.refusals.alone(to)
		}
	}
	if final {
		return fault.New(reasonRefused, "refused by %s: %w", server, err)
	}
	return fmt.Errorf("send through %s: %w", server, err)
}

// enhanced finds the enhanced status code (RFC 3463) in an answer. Many servers write one without announcing it.
var enhanced = regexp.MustCompile(`^(5\.\d{1,3}\.\d{1,3})\b`)

// aboutThisEmail reports whether an enhanced status code speaks of the recipient or of the text. The classes are those
// of RFC 3463, the single codes those of the IANA registry of enhanced status codes.
func aboutThisEmail(code string) bool {
	switch code {
	case "5.1.7", "5.1.8": // the sender's address
		return false
	case "5.3.4": // the text is too large for the system
		return true
	}
	subject, _, _ := strings.Cut(strings.TrimPrefix(code, "5."), ".")
	switch subject {
	case "1", "2", "6": // address, mailbox, content
		return true
	}
	return false // 3 system, 4 network, 5 protocol, 7 security and policy
}

// aboutThisCode reports whether a reply code without an enhanced one can speak of the recipient (RFC 5321, section 4.2.3;
// 556 is RFC 7504's). 554 is not counted: Postfix uses it for a denied relay.
func aboutThisCode(code int) bool {
	switch code {
	case 550, 551, 552, 553, 556:
		return true
	}
	return false
}

// refusals keeps the recipients that a server refused since it last took an email. They distinguish one bad address from a
// server that refuses all of them:
//
//	no email taken yet --taken--> one address may be at fault --another address refused--> the server is at fault
//	                                          ^                                                   |
//	                                          +--------------------- taken -----------------------+
//
// The state is this process's own. After a restart a refusal is final only once an email was taken. Safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	took  bool            // the server has taken an email since the start
	since map[string]bool // recipients refused since it last did
}

// maxRefusals bounds the memory. With two refusals the answer is clear.
const maxRefusals = 100

// taken notes that the server took an email.
func (r *refusals) taken() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = true
	clear(r.since)
}

// alone notes that the server refused an address, and reports whether it refuses this one alone: it took an email before,
// and refused no other address since.
func (r *refusals) alone(to string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since == nil {
		r.since = make(map[string]bool)
	}
	if len(r.since) < maxRefusals {
		r.since[to] = true
	}
	return r.took && len(r.since) == 1 && r.since[to]
}
