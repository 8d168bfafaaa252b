// Package arm starts, loads, watches and audits each way to process orders. All arms share one Kafka and one Postgres. Each
// measurement has topics and a database of its own there, is warmed up, and counts only after its audit.
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

// Env is what an arm is started with.
type Env struct {
	*Sandbox
	Brokers  []string
	Bin      string // the folder of the built programs
	Logs     string // the folder of their output
	Replicas int    // of each service of the product; 0 = 1
}

// Arm is a way to process orders.
type Arm struct {
	Name  string
	Start func(ctx context.Context, e Env) (*Running, error) // returns when the arm accepts orders
}

// Running is an arm whose programs run.
type Running struct {
	database
	Processes []*process.Process
	public    []string            // addresses that take orders
	admin     map[string]string   // the product's admin addresses, by the program's name
	before    map[string]Families // the product's metrics at the last MarkBatches
	// emails counts the emails that were emitted so far.
	emails func(ctx context.Context) (int, error)
	// stored returns how many emails are known as emitted, and when the last one was.
	stored func(ctx context.Context) (emails int, last time.Time, err error)
	// audit returns nil when each of the orders has the right outcome once; so many of them had to be rejected.
	audit func(ctx context.Context, orders, rejected int) error
}

// Stop ends the programs.
func (r *Running) Stop() error { return process.StopAll(r.Processes) }

// Audit returns nil when so many orders were taken, each was charged once, and each had one email. rejected of them had to
// be rejected because the stock ran out.
func (r *Running) Audit(ctx context.Context, orders, rejected int) error {
	return r.audit(ctx, orders, rejected)
}

// target takes orders for the products that sku chooses.
func (r *Running) target(sku func(n int) string) load.Target {
	return load.Target{Addresses: r.public, Body: func(n int) []byte {
		return fmt.Appendf(nil, `{"user_id":%q,"items":[{"sku":%q,"quantity":1}]}`, user(n), sku(n))
	}}
}

// start starts a program of the arm, which becomes ready at a path of address.
func (r *Running) start(e Env, name, program, address string, env []string, args ...string) error {
	p, err := process.Start(process.Spec{Name: name, Path: filepath.Join(e.Bin, program), Args: args, Logs: e.Logs, Env: env})
	if err == nil {
		r.Processes = append(r.Processes, p)
	}
	return err
}

// Products is how many products there are beside Hot. None of them runs out of stock.
const Products = 64

// Hot is the product that every arm has from the start.
const Hot = "vinyl-swan-lake"

// Uniform spreads orders over all products.
func Uniform(n int) string { return fmt.Sprintf("bench-%02d", n%Products) }

// OneProduct puts all orders on one product.
func OneProduct(int) string { return Hot }

// user is the customer of the nth order. Each customer has one order, so the name identifies the order everywhere.
func user(n int) string { return fmt.Sprintf("u-%d", n) }

// readyTime is how long an arm may take to start.
const readyTime = 60 * time.Second

// AwaitEmails waits until n emails were emitted. It returns an error when none was emitted for patience.
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

// lastEmail returns when the last of the emails was emitted. An arm may store that moment only some time later.
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

func (r *Running) alive() error {
	var errs []error
	for _, p := range r.Processes {
		errs = append(errs, p.Alive())
	}
	return errors.Join(errs...)
}

// ready waits until every URL answers 200. On an error it stops the programs.
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

// get requests a URL and gives read the answer when its status is 200.
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

// The ports of programs are below those that Linux, macOS and IANA give to outgoing connections, which could take a port
// before the program listens on it.
const firstPort, endOfPorts = 26_000, 32_768

// reserve finds n free ports on loopback for programs that start next. Until release no other call of reserve returns them,
// in any process: reserve holds the UDP port of the same number, which no program here uses.
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

func listenOnce(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
