package service

import (
	"context"
	"log/slog"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/run"
)

// users exports and erases the users of one service, and keeps erased ones out. A nil users does nothing: the service keeps nothing
// about users.
type users struct {
	erased  *erasure.Register
	eraser  *erasure.Eraser
	letters *deadletter.Store
	log     *slog.Logger
}

func (s *Shell) users(data erasure.Data) (*users, error) {
	if data == nil {
		return nil, nil
	}
	keys, err := s.base.Erasing.Keys()
	if err != nil {
		return nil, err
	}
	erased := erasure.NewRegister(s.DB, keys, s.Log)
	return &users{erased, erasure.NewEraser(s.DB, keys, data, erased), s.Letters, s.Log}, nil
}

// into has records of erased users read as their pseudonyms', and keeps them out of the dead letters.
func (u *users) into(cfg *bus.ConsumerConfig) {
	if u != nil {
		cfg.Map = u.erased.Map
		cfg.Parker = erasure.Parker{Letters: u.letters, Erased: u.erased, Log: u.log}
	}
}

func (u *users) register(api huma.API) {
	if u != nil {
		erasure.RegisterAdmin(api, u.eraser, u.log)
	}
}

func (u *users) checks() []httpx.Check {
	if u == nil {
		return nil
	}
	return []httpx.Check{{Name: "erasures", Run: u.erased.Check}}
}

// before lets start begin once the erasures are read.
func (u *users) before(start func(context.Context) error) func(context.Context) error {
	if u == nil {
		return start
	}
	return func(ctx context.Context) error {
		if err := u.erased.Await(ctx); err != nil {
			return nil // ctx ended
		}
		return start(ctx)
	}
}

func (u *users) components() []run.Component {
	if u == nil {
		return nil
	}
	return []run.Component{{Name: "erasures", Run: u.erased.Run}}
}
