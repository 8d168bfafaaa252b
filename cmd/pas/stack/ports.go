package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"pasdetrois/toolbox/client"
)

// DefaultPorts returns the usual ports of all services and of Kafka, each moved up by offset. They are the
// ports that the commands use by default. Postgres gets any free port: other commands find its address in a
// file of `pas up`.
func DefaultPorts(offset int) Ports {
	return Ports{
		Kafka:  9092 + offset,
		Public: map[string]int{client.Orders: 8080 + offset, client.Payments: 8084 + offset, client.Notifications: 8085 + offset},
		Admin:  map[string]int{client.Orders: 9080 + offset, client.Payments: 9084 + offset, client.Notifications: 9085 + offset},
	}
}

// PortBusyError says that another program uses a fixed port. A caller finds it with errors.As: this failure is
// the user's to solve, and the logs say nothing about it.
type PortBusyError struct {
	For  string // service or part that needs the port
	Port int
}

func (e *PortBusyError) Error() string {
	return fmt.Sprintf("port %d, wanted for %s, is used by another program", e.Port, e.For)
}

// Hint returns the user's two ways out. The command line appends it to the error.
func (e *PortBusyError) Hint() string {
	return "stop that program, or move all ports up with --port-offset 2000"
}

// Listen opens a TCP port on 127.0.0.1; port 0 means any free one. For a port in use, the error is a
// *PortBusyError. name appears in errors only.
func Listen(name string, port int) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortBusyError{For: name, Port: port}
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	return l, nil
}

// free returns an error when the fixed port cannot be opened. It closes the port again, since the embedded
// broker opens it itself: another program can still take the port in between, and the broker's own error
// reports that.
func free(name string, port int) error {
	if port == 0 {
		return nil
	}
	l, err := Listen(name, port)
	if err != nil {
		return err
	}
	return l.Close()
}
