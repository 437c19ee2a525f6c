package runtime

import (
	"sync"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/mailbox"
)

// inbox is an actor, in this process, that is there to receive.
type inbox struct {
	inst *Instance
	once sync.Once
}

// OpenInbox implements [port.System].
func (s *System) OpenInbox(base string, capacity int, k *port.Kind) (port.Inbox, error) {
	none := func(b *mailbox.Buffer) error { return mailbox.EncodeArgs(b, mailbox.NoArgs{}, false) }
	i := s.Launch(s.uniqueName(base), Blueprint{port.Role{Kind: k, Encode: none}, actor.Settings{InProcess: true, Capacity: capacity}})
	<-i.Ready()
	if err := i.StartErr(); err != nil {
		return nil, err
	}
	return &inbox{inst: i}, nil
}

// Path implements [port.Inbox].
func (in *inbox) Path() string { return in.inst.path }

// Close implements [port.Inbox].
func (in *inbox) Close() {
	in.once.Do(func() {
		in.inst.Stop(actor.Forever)
		<-in.inst.Done()
		in.inst.sys.SetState(in.inst.path, PathGone)
	})
}
