// Package domain holds the rules of notifications: which requests are the same one, the address and the text of an email, and
// the states of a notification.
package domain
