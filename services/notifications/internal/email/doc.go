// Package email sends emails to a mail server, or writes them to the log.
//
// Both senders follow one rule for errors (see app.Sender): a permanent error means that the server refused this very email.
// After any other error another attempt may succeed. A conversation with a mail server goes through these stages, and the
// stage decides the meaning of a refusal:
//
//	connect -> sender -> recipient -> text -> answer
//	|------ nothing is sent ------|           the server has the email: without an answer the outcome is unknown
package email
