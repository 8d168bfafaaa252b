package rebuild

import (
	"context"
	"errors"
	"log/slog"

	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/toolbox/hint"
)

// keepErased has the records of erased users read as their pseudonyms', as the service reads them. The erasures are those of the
// database: a database that was lost, or restored from before an erasure, needs the erasure again.
func (r *run) keepErased(ctx context.Context) error {
	register := erasure.NewRegister(r.Pool, r.Erasing, slog.New(slog.DiscardHandler))
	if err := register.Load(ctx); err != nil {
		if errors.Is(err, erasure.ErrNoKey) {
			err = hint.Add(err, "set ERASURE_KEY_FILE to the file that the service has: without it the topics would bring erased users back")
		}
		return err
	}
	if !register.Any() {
		return nil
	}
	r.State = mapped{r.State, register}
	return nil
}

// mapped is a State that gets the messages of erased users as those of their pseudonyms.
type mapped struct {
	rebuild.State
	erased *erasure.Register
}

// Fold implements rebuild.State.
func (m mapped) Fold(ctx context.Context, stories []rebuild.Story, write bool) ([]rebuild.Finding, error) {
	for _, story := range stories {
		for i := range story.Records {
			story.Records[i].Message, _ = m.erased.Message(story.Records[i].Message)
		}
	}
	return m.State.Fold(ctx, stories, write)
}

// Inform implements rebuild.Informed.
func (m mapped) Inform(f rebuild.Facts) {
	if informed, ok := m.State.(rebuild.Informed); ok {
		informed.Inform(f)
	}
}
