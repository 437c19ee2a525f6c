package runtime

import (
	"sync"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
)

// inbox is an actor, in this process, that is there to receive.
type inbox struct {
	inst *Instance
	once sync.Once
}

// OpenInbox implements [port.System].
func (s *System) OpenInbox(base string, capacity int, k *port.Kind) (port.Inbox, error) {
	none := &arguments{bytes: []byte{0x90}} // an empty argument list
	i := s.Launch(s.uniqueName(base), EncodedRole{k, Settings{InProcess: true, Mailbox: actor.Mailbox{Messages: capacity}}, none})
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
		in.inst.Stop(forever)
		<-in.inst.Done()
		in.inst.sys.SetState(in.inst.path, PathGone)
	})
}
