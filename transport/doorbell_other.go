//go:build !linux

package transport

import (
	"errors"
	"os"
)

// Bell and PeerBell are eventfds; see there.
type (
	Doorbell     struct{}
	PeerDoorbell struct{}
)

// NewBell needs eventfds.
func NewDoorbell() (*Doorbell, error) { return nil, errors.ErrUnsupported }

func (b *Doorbell) File() *os.File         { return nil }
func (b *Doorbell) Wait(func() bool) error { return errors.ErrUnsupported }
func (b *Doorbell) Ring()                  {}
func (b *Doorbell) Close()                 {}
func (b *PeerDoorbell) Ring()              {}
func (b *PeerDoorbell) Close()             {}
