// Package mail sends emails through mail servers of other makers, as the whole system does: Mailpit
// (github.com/axllent/mailpit, in Go) with its API to read what came, and aiosmtpd (in Python) which answers as a
// recipient's address asks. `make test SUITE=mail` runs it with the versions that the repository pins.
package mail
