package cli

import (
	"context"
	"io"
)

// StartInbox starts the inbox alone, without the stack beside it.
func StartInbox(ctx context.Context, data string, offset int) error {
	_, err := startInbox(ctx, data, offset, io.Discard)
	return err
}

// WithErasureKey sets the key of erased users as `pas up` does.
var WithErasureKey = withErasureKey
