// Package arm starts, loads, observes and audits each way to process orders. All arms share one Kafka and one
// Postgres. Each measurement has its own topics and its own database there, is warmed up, and counts only after
// its audit.
//
//	sandbox -> start programs -> ready -> warm up -> loop (measured) -> audit -> stop -> remove the sandbox
//
// An arm is the product, the product of another revision, or a peer. To add one, write a function that returns
// an Arm whose Start fills in a Running.
package arm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/pkg/platform/wait"
)

// Env is the surroundings of an arm at its start.
type Env struct {
	*Sandbox
	Brokers  []string
	Bin      string // the folder of the built programs
	Logs     string // the folder of their output
	Replicas int    // of each service of the product; 0 = 1
	Signed   bool   // the product's services have keys
}

// Arm is a way to process orders.
type Arm struct {
	Name  string
	Start func(ctx context.Context, e Env) (*Running, error) // returns when the arm accepts orders
}

// Running is an arm whose programs run. The functions in it differ between the product and the peers.
type Running struct {
	database
	Processes []*process.Process
	public    []string            // addresses that accept POST /orders
	admin     map[string]string   // the product's admin addresses, by the program's name
	before    map[string]Families // the product's metrics at the last MarkBatches
	// emails returns the number of emails that were emitted so far. It is called often during a loop, so it
	// must be cheap.
	emails func(ctx context.Context) (int, error)
	// stored returns the number of emails in the database, and when the last of them was emitted.
	stored func(ctx context.Context) (emails int, last time.Time, err error)
	// audit returns nil when each order has the right outcome exactly once; this many of them had to be
	// rejected.
	audit func(ctx context.Context, orders, rejected int) error
}

// Stop ends all programs at the same time.
func (r *Running) Stop() error { return process.StopAll(r.Processes) }

// Audit returns nil when this many orders were accepted, each was charged once, and each had one email.
// rejected of them had to be rejected because the stock ran out.
func (r *Running) Audit(ctx context.Context, orders, rejected int) error {
	return r.audit(ctx, orders, rejected)
}

// target places orders of one piece of the product that sku chooses.
func (r *Running) target(sku func(n int) string) load.Target {
	return load.Target{Addresses: r.public, Body: func(n int) []byte {
		return fmt.Appendf(nil, `{"user_id":%q,"items":[{"sku":%q,"quantity":1}]}`, user(n), sku(n))
	}}
}

// start starts a program of the arm, with address as the one of its health check.
func (r *Running) start(e Env, name, program, address string, env []string, args ...string) error {
	p, err := process.Start(process.Spec{Name: name, Path: filepath.Join(e.Bin, program), Args: args, Logs: e.Logs, Env: env})
	if err == nil {
		r.Processes = append(r.Processes, p)
	}
	return err
}

// Products is the number of products beside Hot. No order of the benchmark exhausts them.
const Products = 64

// Hot is the product that every arm has from the start.
const Hot = "vinyl-swan-lake"

// Uniform spreads orders over all products.
func Uniform(n int) string { return fmt.Sprintf("bench-%02d", n%Products) }

// OneProduct puts all orders on one product.
func OneProduct(int) string { return Hot }

// user is the customer of the nth order. Each customer has one order, so the name identifies the order in every
// arm.
func user(n int) string { return fmt.Sprintf("u-%d", n) }

// readyTime bounds the start of an arm.
const readyTime = 60 * time.Second

// AwaitEmails polls until n emails were emitted. It fails when no further one came for patience, and at once
// when a program has ended.
func (r *Running) AwaitEmails(ctx context.Context, n int, every, patience time.Duration) error {
	last, since := -1, time.Now()
	for {
		sent, err := r.emails(ctx)
		if err != nil {
			return err
		}
		if sent >= n {
			return nil
		}
		if sent > last {
			last, since = sent, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("%d of %d emails were emitted, and none in the last %s", sent, n, patience)
		}
		if err := r.alive(); err != nil {
			return err
		}
		if !wait.Sleep(ctx, every) {
			return context.Cause(ctx)
		}
	}
}

// lastEmail returns the moment at which the last of the emails was emitted. An arm may store that moment only
// later.
func (r *Running) lastEmail(ctx context.Context, emails int) (time.Time, error) {
	for deadline := time.Now().Add(patience); ; {
		n, last, err := r.stored(ctx)
		if err != nil || n >= emails {
			return last, err
		}
		if time.Now().After(deadline) {
			return last, fmt.Errorf("%d of %d emails are stored", n, emails)
		}
	}
}

// alive returns nil while all programs run, and the ends of their logs otherwise.
func (r *Running) alive() error {
	var errs []error
	for _, p := range r.Processes {
		errs = append(errs, p.Alive())
	}
	return errors.Join(errs...)
}

// ready waits until every URL answers 200. It takes an earlier error, so that callers need one check only; on
// any error it stops the programs.
func (r *Running) ready(ctx context.Context, urls []string, err error) (*Running, error) {
	limited, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for _, url := range urls {
		for err == nil {
			notReady := get(limited, url, func(*http.Response) error { return nil })
			if notReady == nil {
				break
			}
			if err = r.alive(); err == nil && !wait.Sleep(limited, 20*time.Millisecond) {
				err = fmt.Errorf("not ready: %w", notReady)
			}
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

// get requests a URL and gives the answer to read when its status is 200.
func get(ctx context.Context, url string, read func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, answer.StatusCode)
	}
	return read(answer)
}

// The ports of programs lie below the range that Linux, macOS and IANA use for outgoing connections. Such a
// connection could take a port before its program listens on it.
const firstPort, endOfPorts = 26_000, 32_768

// reserve finds n free ports on loopback for programs that start next. Until release, no other call of reserve
// returns them, in any process: reserve holds the UDP port of the same number, which no program here uses. The
// TCP port itself must stay free for the program.
func reserve(n int) (addresses []string, release func(), err error) {
	var held []net.PacketConn
	release = func() {
		for _, h := range held {
			_ = h.Close()
		}
	}
	for tries := 0; len(addresses) < n; tries++ {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(endOfPorts-firstPort))
		h, err := net.ListenPacket("udp", address)
		if err == nil {
			held = append(held, h)
			err = listenOnce(address)
		}
		if err == nil {
			addresses = append(addresses, address)
		} else if tries >= 1000 {
			release()
			return nil, nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return addresses, release, nil
}

// listenOnce returns an error when the TCP port is in use.
func listenOnce(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
