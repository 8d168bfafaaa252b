package masked

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesKeepTheirFirstCharacterAndDomain(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`550 "5.1.1 <ada.l@example.test>: no such user"`: `550 "5.1.1 <a...@example.test>: no such user"`,
		"to ada+x@mail.example.test, bob@example.org":    "to a...@mail.example.test, b...@example.org",
		"jörg@exämple.com":                               "j...@exämple.com",
		"orders/3@17 and ada@localhost":                  "orders/3@17 and ada@localhost",
		"":                                               "",
	} {
		require.Equal(t, want, Addresses(text))
	}
}

func TestAHandlerMasksErrorsAlone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(Handler(slog.NewTextHandler(&out, nil))).With("service", "s").WithGroup("g")
	log.Warn("not sent", "order_id", "o@example.test", "err", errors.New("refused: ada@example.test"))
	log.Info("sent", "to", "ada@example.test", "err", nil)
	require.Contains(t, out.String(), `g.order_id=o@example.test g.err="refused: a...@example.test"`)
	require.Contains(t, out.String(), "g.to=ada@example.test g.err=<nil>")
}
