// Package kubernetes checks what deploy/kubernetes builds: that it is valid, and that it fits the services.
package kubernetes
