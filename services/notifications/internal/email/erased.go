package email

import (
	"context"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/services/notifications/internal/domain"
)

// Sender hands emails to a mail server, as app.Sender says.
type Sender interface {
	Send(ctx context.Context, e domain.Email, handedOver func()) error
}

// ToNobodyErased returns a sender that refuses emails to erased users for good, and hands all others to next. Such an email was
// requested before the erasure and not sent.
func ToNobodyErased(next Sender) Sender { return erased{next} }

type erased struct{ next Sender }

// Send implements Sender.
func (s erased) Send(ctx context.Context, e domain.Email, handedOver func()) error {
	if strings.HasSuffix(e.To, "@"+messages.ErasedDomain) {
		return fault.New("erased", "the user was erased before the email was sent")
	}
	return s.next.Send(ctx, e, handedOver)
}
