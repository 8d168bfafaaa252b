// Package email hands emails over: to the log, or to a mail server.
//
// Both senders follow one rule for errors, which app.Sender names: permanent means that the server refused this very
// email, anything else means that another attempt may succeed.
package email
