//go:build !linux

package cli_test

// otherProgram returns: only the tests on Linux start this program as another one.
func otherProgram() {}
