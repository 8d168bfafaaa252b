#!/usr/bin/env bash
# Software:  github.com/coreos/go-oidc/v3 3.21.0, Go 1.26.
# Behaviour: IDTokenVerifier.Verify returns the same kind of error when the token is bad and when the login server is away, so that no
#            keys could be fetched. The cause is in the text only: errors.As finds no *url.Error, and errors.Is no ECONNREFUSED.
#            The library has a type for the one other cause (TokenExpiredError), and RemoteKeySet's own VerifySignature keeps the
#            chain. A service that answers by the error's type tells a caller with a good token 401 instead of 503.
# Seen:      VerifySignature: *url.Error true, ECONNREFUSED true; Verify: *url.Error false, ECONNREFUSED false, text has it
# Date:      2026-11-30
# Exits 0 while the behaviour is as described, 1 when it changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'GO'
module finding

go 1.26
GO
cat >main.go <<'GO'
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func main() {
	away := httptest.NewServer(http.NotFoundHandler())
	issuer := away.URL
	away.Close() // the login server is away

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	fatal(err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
	fatal(err)
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: issuer, Subject: "ada", Audience: jwt.Audience{"shop"},
		Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Serialize()
	fatal(err)

	ctx := context.Background()
	keys := oidc.NewRemoteKeySet(ctx, issuer+"/keys")
	_, inner := keys.VerifySignature(ctx, token)
	_, outer := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: "shop"}).Verify(ctx, token)
	innerURL, innerRefused := causes(inner)
	outerURL, outerRefused := causes(outer)
	fmt.Printf("VerifySignature: *url.Error %t, ECONNREFUSED %t\n", innerURL, innerRefused)
	fmt.Printf("Verify: *url.Error %t, ECONNREFUSED %t, text %q\n", outerURL, outerRefused, strings.ReplaceAll(outer.Error(), issuer, "ISSUER"))
	if !innerURL || !innerRefused || outerURL || outerRefused || !strings.Contains(outer.Error(), "connection refused") {
		os.Exit(1)
	}
}

func causes(err error) (isURL, refused bool) {
	var u *url.Error
	return errors.As(err, &u), errors.Is(err, syscall.ECONNREFUSED)
}

func fatal(err error) {
	if err != nil {
		panic(err)
	}
}
GO
go get github.com/coreos/go-oidc/v3@v3.21.0 github.com/go-jose/go-jose/v4@v4.1.9 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
