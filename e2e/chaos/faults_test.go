//go:build chaos

package chaos

import (
	"fmt"
	"time"

	"pasdetrois/bench/load"
)

// kills ends random replicas with SIGKILL at random moments: mostly one, sometimes both of a service, or all.
func (f *field) kills() error {
	for f.faults < f.size {
		if err := pause(f.ctx, time.Duration(200+f.rng.IntN(2800))*time.Millisecond); err != nil {
			return err
		}
		victims := []*replica{f.replicas[f.rng.IntN(len(f.replicas))]}
		switch luck := f.rng.IntN(100); {
		case luck < 8:
			victims = f.of(victims[0].service)
		case luck < 10:
			victims = f.replicas
		}
		for _, r := range victims {
			hit, err := r.kill()
			if err != nil {
				return err
			}
			if hit {
				f.faulted("SIGKILL %s", r.spec.Name)
			}
		}
		if f.rng.IntN(25) == 0 {
			if err := f.recovered("SIGKILL " + victims[0].spec.Name); err != nil {
				return err
			}
		}
	}
	return f.recovered(fmt.Sprintf("%d kills", f.faults))
}

// brokers kills the broker or lets it stand still.
func (f *field) brokers() error {
	if f.broker == nil {
		return fmt.Errorf("the broker is not ours to kill")
	}
	for f.faults < f.size {
		if err := f.wait(3 * time.Second); err != nil {
			return err
		}
		if err := f.strikeBroker(f.lasting()); err != nil {
			return err
		}
		if err := f.recovered("the broker's return"); err != nil {
			return err
		}
	}
	return nil
}

func (f *field) strikeBroker(lasting time.Duration) error {
	what, strike, mend := "SIGKILL the broker", f.broker.Kill, f.broker.Start
	if f.faults%2 == 1 {
		what, strike, mend = "pause the broker", f.broker.Pause, f.broker.Resume
	}
	if err := strike(f.ctx); err != nil {
		return err
	}
	f.faulted("%s for %.1f s", what, lasting.Seconds())
	if err := pause(f.ctx, lasting); err != nil {
		return err
	}
	return mend(f.ctx)
}

// promptly: without a broker orders are taken as ever. The short form judges no time, since its machine may have other work:
// too busy, too, is an answer about time.
func promptly(f *field, v *verdict, l load.Latency) {
	refused := f.shop.broken + f.shop.unanswered
	if f.timed {
		refused += f.shop.busy
	}
	if refused > 0 {
		v.wrong("%d of %d POSTs were not taken at once", refused, len(f.shop.posts))
	}
	if f.timed && l.P99 >= 250 {
		v.wrong("p99 of POST is %.0f ms, the limit is 250", l.P99)
	}
}

// databases kills Postgres, which its supervisor starts again.
func (f *field) databases() error {
	for f.faults < f.size {
		if err := f.wait(3 * time.Second); err != nil {
			return err
		}
		if err := f.db.kill(); err != nil {
			return err
		}
		f.faulted("SIGKILL Postgres")
		if err := pause(f.ctx, restartPause); err != nil {
			return err
		}
		if err := f.db.start(f.ctx); err != nil {
			return err
		}
		if err := f.recovered("Postgres' return"); err != nil {
			return err
		}
	}
	return nil
}

// frozen stops a replica in the middle of its work. The other one has to take everything over while the first stands still.
func (f *field) frozen() error {
	for f.faults < f.size {
		if err := f.wait(2 * time.Second); err != nil {
			return err
		}
		r := f.replicas[f.rng.IntN(len(f.replicas))]
		if err := r.freeze(); err != nil {
			return err
		}
		f.faulted("SIGSTOP %s", r.spec.Name)
		err := f.recovered("SIGSTOP " + r.spec.Name)
		if err == nil {
			err = f.wait(f.long)
		}
		if thawed := r.thaw(); err == nil {
			err = thawed
		}
		if err != nil {
			return err
		}
	}
	return f.recovered("the last SIGCONT")
}
