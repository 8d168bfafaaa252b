package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/fault"
)

func TestErrorsAreSortedByTypeHoweverDeepTheyAreWrapped(t *testing.T) {
	t.Parallel()
	permanent := fault.New("not_json", "byte %d: %w", 3, io.ErrUnexpectedEOF)
	for name, c := range map[string]struct {
		err    error
		kind   fault.Kind
		reason string
	}{
		"nobody classified it":            {io.EOF, fault.Transient, ""},
		"nothing":                         {nil, fault.Transient, ""},
		"out of time":                     {context.DeadlineExceeded, fault.Transient, ""},
		"told to stop":                    {fmt.Errorf("query: %w", context.Canceled), fault.Cancelled, ""},
		"permanent":                       {permanent, fault.Permanent, "not_json"},
		"permanent, wrapped":              {fmt.Errorf("handle: %w", permanent), fault.Permanent, "not_json"},
		"permanent, joined":               {errors.Join(io.EOF, permanent), fault.Permanent, "not_json"},
		"permanent although told to stop": {fault.Wrap("bad", context.Canceled), fault.Permanent, "bad"},
		"the outer reason counts":         {fault.Wrap("outer", permanent), fault.Permanent, "outer"},
		"its words say permanent":         {errors.New("permanent: not_json"), fault.Transient, ""},
	} {
		require.Equal(t, c.kind, fault.KindOf(c.err), name)
		require.Equal(t, c.reason, fault.Reason(c.err), name)
	}
	require.ErrorIs(t, permanent, io.ErrUnexpectedEOF)
	require.EqualError(t, permanent, "byte 3: unexpected EOF")
	require.NoError(t, fault.Wrap("bad", nil))
}
