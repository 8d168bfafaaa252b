// Package openapi holds the test that compares each OpenAPI document with the server that serves it, built with the tag
// `openapi`. Schemathesis makes requests of the document, good ones and bad ones, and judges the answers; `install` puts
// the version of requirements.txt into a folder, and SCHEMATHESIS names its program.
package openapi
