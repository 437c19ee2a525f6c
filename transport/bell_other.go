//go:build !linux

package transport

import (
	"errors"
	"os"
)

// Bell and PeerBell are eventfds; see there.
type (
	Bell     struct{}
	PeerBell struct{}
)

// NewBell needs eventfds.
func NewBell() (*Bell, error) { return nil, errors.ErrUnsupported }

func (b *Bell) File() *os.File         { return nil }
func (b *Bell) Wait(func() bool) error { return errors.ErrUnsupported }
func (b *Bell) Ring()                  {}
func (b *Bell) Close()                 {}
func (b *PeerBell) Ring()              {}
func (b *PeerBell) Close()             {}
