package programs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Broker is how a Kafka is killed, started, paused and resumed: commands.
type Broker struct{ kill, start, pause, resume []string }

// GivenBroker returns nil, and why, when the broker is not ours to kill.
func GivenBroker() (broker *Broker, why string) {
	if kill, start := os.Getenv("CRASH_BROKER_KILL"), os.Getenv("CRASH_BROKER_START"); kill != "" && start != "" {
		return &Broker{kill: []string{"sh", "-c", kill}, start: []string{"sh", "-c", start}}, ""
	}
	if os.Getenv("KAFKA_DIR") == "" {
		return nil, "KAFKA_BROKERS names a broker that was not started for this run, and neither CRASH_BROKER_KILL nor CRASH_BROKER_START says how to kill it and start it again"
	}
	script := os.Getenv("KAFKA_LOCAL")
	if _, err := exec.LookPath(script); err != nil {
		return nil, fmt.Sprintf("KAFKA_DIR is set, but KAFKA_LOCAL is no command: %v", err)
	}
	return &Broker{kill: []string{script, "kill"}, start: []string{script, "start"}, pause: []string{script, "pause"}, resume: []string{script, "resume"}}, ""
}

// Kill ends the broker with SIGKILL.
func (b *Broker) Kill(ctx context.Context) error { return run(ctx, b.kill) }

// Start starts the broker and returns when it answers. Starting one that runs is no error.
func (b *Broker) Start(ctx context.Context) error { return run(ctx, b.start) }

// Pause lets the broker stand still.
func (b *Broker) Pause(ctx context.Context) error { return run(ctx, b.pause) }

// Resume ends a pause.
func (b *Broker) Resume(ctx context.Context) error { return run(ctx, b.resume) }

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command is known for this: start the broker with KAFKA_DIR and KAFKA_LOCAL, as `make chaos` does")
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}
