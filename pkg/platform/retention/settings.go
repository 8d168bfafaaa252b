package retention

import (
	"errors"
	"fmt"
	"time"
)

// Least is the shortest time that rows may be kept: the topics keep records for 7 days, and deletion of them may take a day
// longer. A redelivered record then finds its row, and gets its answer again.
const Least = 8 * 24 * time.Hour

// leastAuditLog is the shortest time that entries of the audit log may be kept. The database refuses less, too.
const leastAuditLog = 30 * 24 * time.Hour

// Settings are those of the rows that every service has.
type Settings struct {
	Letters  time.Duration `env:"RETENTION_LETTERS" envDefault:"720h" desc:"how long a dead letter is kept after it was replayed or discarded, 192h at least, and longer than the topics keep records; 0: for ever"`
	AuditLog time.Duration `env:"RETENTION_AUDIT_LOG" envDefault:"0s" desc:"how long entries of the audit log are kept, 720h at least; 0: for ever"`
}

// Validate returns all problems joined.
func (s Settings) Validate() error {
	return errors.Join(
		Check("RETENTION_LETTERS", s.Letters, Least, "the time for which the topics have its record"),
		Check("RETENTION_AUDIT_LOG", s.AuditLog, leastAuditLog, "the least that an audit log keeps"),
	)
}

// Check returns an error when a kind is kept for less than least, which why explains. Zero means for ever.
func Check(name string, keep, least time.Duration, why string) error {
	if keep == 0 || keep >= least {
		return nil
	}
	return fmt.Errorf("%s: %s is less than %s, %s", name, keep, least, why)
}
