//go:build !linux

package process

import "os/exec"

// FromExec returns an error that wraps errors.ErrUnsupported.
func FromExec(*exec.Cmd) (Command, error) { return Command{}, unsupported("start a program") }
