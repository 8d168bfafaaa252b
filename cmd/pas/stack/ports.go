package stack

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"pasdetrois/toolbox/client"
)

// DefaultPorts returns the ports that a system with all its services has, each moved up by offset. Postgres gets any.
func DefaultPorts(offset int) Ports {
	return Ports{
		Kafka:  9092 + offset,
		Public: map[string]int{client.Orders: 8080 + offset, client.Payments: 8084 + offset, client.Notifications: 8085 + offset},
		Admin:  map[string]int{client.Orders: 9080 + offset, client.Payments: 9084 + offset, client.Notifications: 9085 + offset},
	}
}

// PortBusyError says that a fixed port is taken by another program.
type PortBusyError struct {
	For  string // what needs the port
	Port int
}

func (e *PortBusyError) Error() string {
	return fmt.Sprintf("port %d, wanted for %s, is used by another program", e.Port, e.For)
}

// Hint says how to get a port.
func (e *PortBusyError) Hint() string {
	return "stop that program, or move all ports up with --port-offset 2000"
}

// Listen opens a TCP port on 127.0.0.1; 0 is any free one. The error of a port in use is a *PortBusyError.
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

// free returns an error when the fixed port cannot be listened on.
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
