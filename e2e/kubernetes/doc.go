// Package kubernetes checks what deploy/kubernetes builds: that an API server and the operators would take it, and
// that it fits the services.
package kubernetes
