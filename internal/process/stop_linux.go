package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// Signal sends sig to the child alone, not to its group. After the child's end it returns ErrDone.
func (p *Process) Signal(sig syscall.Signal) error {
	if sig == unix.SIGKILL {
		p.mu.Lock()
		p.killed = p.killed || !p.reaped
		p.mu.Unlock()
	}
	return sendByHandle(p.pidfd, p.pid, sig)
}

func sendByHandle(pidfd *os.File, pid int, sig syscall.Signal) error {
	err := sys.Borrow(pidfd, func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH), errors.Is(err, os.ErrClosed):
		return ErrDone
	}
	return fmt.Errorf("process: signal %v to process %d: %w", sig, pid, err)
}

// Kill sends SIGKILL to the child and to its whole process group, and does not wait for Done. After the child's end it
// returns ErrDone: its group was killed with it.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return ErrDone
	}
	p.killed = true
	// The group first: a member could otherwise notice the leader's end and act on it. The leader by handle too, in
	// case it moved itself to another group.
	err := unix.Kill(-p.pid, unix.SIGKILL)
	if handleErr := sendByHandle(p.pidfd, p.pid, unix.SIGKILL); err != nil {
		err = handleErr
	}
	return err
}

// Terminate ends the child and its group and waits until it is Done: with SIGTERM, and with SIGKILL when ctx ends.
// A ctx that has ended already kills at once; one that never ends gives all the time in the world. The error is nil
// if the child ended in time, else it wraps ErrKilled and the cause of ctx's end.
func (p *Process) Terminate(ctx context.Context) error {
	var state ladderState
	for {
		select {
		case <-p.done:
			state.gone = true
		default:
			state.timeUp = ctx.Err() != nil
		}
		switch nextRung(state) {
		case rungAsk:
			p.signalGroup(unix.SIGTERM)
			p.signalGroup(unix.SIGCONT) // a stopped process would not hear the first
			state.asked = true
		case rungWait:
			select {
			case <-p.done:
			case <-ctx.Done():
			}
		case rungKill:
			_ = p.Kill() // ErrDone at worst
			state.killed = true
		case rungReap:
			<-p.done
		case rungFinish:
			if state.killed && p.status.Signal == unix.SIGKILL {
				return fmt.Errorf("process %d: %w (%w)", p.pid, ErrKilled, context.Cause(ctx))
			}
			return nil
		}
	}
}

// signalGroup signals the child's group; after its end it does nothing.
func (p *Process) signalGroup(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.pid, sig) // ESRCH if the leader is a zombie alone
	}
}
