// Package domain holds the rules of notifications: which requests are the same one, whom an email goes to, what it
// says, and the states that a notification passes through.
package domain
