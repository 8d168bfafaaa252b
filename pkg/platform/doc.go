// Package platform is the folder of the plumbing packages: no business word, no SQL of a service.
package platform
