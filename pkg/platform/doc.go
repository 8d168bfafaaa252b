// Package platform holds the plumbing below it: no business word, no SQL of a service.
package platform
