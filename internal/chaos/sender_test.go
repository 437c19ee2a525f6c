package chaos_test

import (
	"context"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// pumpsEach is how many goroutines of one actor send by themselves.
const pumpsEach = 4

// sender is one order of messages: a goroutine that sends, or the handlers of
// an actor, which follow each other.
type sender struct {
	scope  actor.Scope
	birth  birth
	j      *journal
	stream uint32
	seq    map[uint16]uint64
}

var streams atomic.Uint32

func newSender(scope actor.Scope, b birth, j *journal) *sender {
	return &sender{scope: scope, birth: b, j: j, stream: streams.Add(1), seq: make(map[uint16]uint64)}
}

// next makes the next message to a receiver and journals that it is about to
// be sent.
func (s *sender) next(to uint16, op operation) *note {
	s.seq[to]++
	n := &note{Process: self, Stream: s.stream, To: to, Op: op, Seq: s.seq[to]}
	if op != opFlush {
		n.Nest = rand.IntN(12) == 0
		n.Decline = op.isCall() && rand.IntN(10) == 0
		if rand.IntN(20) == 0 {
			n.Work = time.Duration(rand.IntN(3000)) * time.Microsecond
		}
		if rand.IntN(faultEvery) == 0 {
			n.Fault = fault(1 + rand.IntN(int(faults)-1))
		}
		switch size := rand.IntN(1000); {
		case size < 2:
			n.Data = make([]byte, 5<<20) // travels in memory of its own
		case size < 100:
			n.Data = make([]byte, rand.IntN(100_000))
		default:
			n.Data = make([]byte, rand.IntN(100))
		}
		for i := 0; i < len(n.Data); i += 1 + len(n.Data)/64 {
			n.Data[i] = byte(rand.Uint32())
		}
	}
	n.Sum = crc32.ChecksumIEEE(n.Data)
	r := n.key(entrySend)
	r.Self = s.birth.Role
	s.j.write(r)
	return n
}

// faultEvery is how many messages there are to one that brings a fault.
const faultEvery = 300

// sent journals how a message ended for its sender.
func (s *sender) sent(ctx context.Context, n *note, err error) {
	r := n.key(entrySent)
	r.Self = s.birth.Role
	r.Outcome, r.Inc = classify(ctx, n, err)
	s.j.write(r)
	if r.Outcome == other {
		s.j.bad(r, "%v to %s (message %d of stream %d) ended with %v", n.Op, roleName(n.To), n.Seq, n.Stream, err)
	}
}

func classify(ctx context.Context, n *note, err error) (outcome uint8, inc actor.Incarnation) {
	var remote *actor.RemoteError
	answered := errors.As(err, &remote)
	x, exit := exitOf(err)
	if exit && errors.As(x.Err, &remote) {
		answered = false // it is what the actor said when it ended
	}
	switch {
	case err == nil:
		return ended, inc
	case answered && errors.Is(err, errDeclined):
		return declined, inc
	case errors.Is(err, actor.ErrCallCycle):
		return refused, inc
	case exit && !answered && x.Path == cast[n.To].path:
		return [...]uint8{actor.BegunUnknown: exitMaybe, actor.BegunYes: exitBegun, actor.BegunNo: exitNot}[x.Begun], x.Incarnation
	case answered && (errors.Is(err, actor.ErrStopping)):
		return stopping, inc
	case errors.Is(err, actor.ErrMailboxFull):
		return full, inc
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), !answered && ctx.Err() != nil:
		return gaveUp, inc
	case errors.Is(err, actor.ErrNotRunning), errors.Is(err, actor.ErrStopped):
		return notRunning, inc
	}
	return other, inc
}

// check compares an answer with the question.
func (s *sender) check(n *note, a ack, err error) {
	if err == nil && a != n.ack() {
		s.j.bad(n.key(entryBad), "the answer to message %d of stream %d is for %d of %d", n.Seq, n.Stream, a.Seq, a.Stream)
	}
}

// pump sends whatever there is, to everybody, until it is quiet.
func (s *sender) pump(ctx context.Context) {
	for ctx.Err() == nil && s.j.now() != quiet {
		if s.j.now() == opening {
			time.Sleep(time.Millisecond)
			continue
		}
		s.once(ctx)
		if rand.IntN(4) == 0 {
			time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		}
	}
}

func (s *sender) once(ctx context.Context) {
	all := targets()
	to := all[rand.IntN(len(all))]
	limit := 2 * time.Second
	if rand.IntN(8) == 0 {
		limit = time.Duration(rand.IntN(3000)) * time.Microsecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch op := operation(1 + rand.IntN(int(opFlush)-1)); op {
	case opCall:
		s.call(ctx, to, op)
	case opGo:
		s.pipeline(ctx, to)
	case opCast, opTry:
		for range 1 + rand.IntN(20) {
			s.cast(ctx, to, op)
		}
	case opStream:
		s.read(ctx, to)
	case opBlockCall:
		s.blockCall(ctx, to)
	case opBlockCast:
		s.blockCast(ctx, to)
	case opNote:
		s.note(ctx)
	}
}

// ref is never wrong here: who is known is known everywhere.
func (s *sender) ref(to uint16) actor.Ref[worker] {
	ref, err := refOf(s.scope, to)
	if err != nil {
		panic(err.Error())
	}
	return ref
}

func (s *sender) call(ctx context.Context, to uint16, op operation) error {
	ref := s.ref(to)
	n := s.next(to, op)
	a, err := Take.Call(ctx, ref, *n)
	s.sent(ctx, n, err)
	s.check(n, a, err)
	return err
}

func (s *sender) pipeline(ctx context.Context, to uint16) {
	ref := s.ref(to)
	var notes []*note
	var futures []*actor.Future[ack]
	for range 1 + rand.IntN(8) {
		n := s.next(to, opGo)
		notes = append(notes, n)
		futures = append(futures, Take.Go(ctx, ref, *n))
	}
	for i, f := range futures {
		a, err := f.Result()
		s.sent(ctx, notes[i], err)
		s.check(notes[i], a, err)
	}
}

func (s *sender) cast(ctx context.Context, to uint16, op operation) {
	ref := s.ref(to)
	n := s.next(to, op)
	var err error
	if op == opTry {
		err = Take.TryCast(ref, *n)
	} else {
		err = Take.Cast(ctx, ref, *n)
	}
	s.sent(ctx, n, err)
}

func (s *sender) note(ctx context.Context) {
	n := s.next(roleInbox, opNote)
	n.Fault, n.Nest = faultNone, false
	var err error
	if rand.IntN(2) == 0 {
		err = s.birth.Inbox.TrySend(*n)
	} else {
		err = s.birth.Inbox.Send(ctx, *n)
	}
	s.sent(ctx, n, err)
}

func elements() int {
	if rand.IntN(50) == 0 {
		return 1 << 18 // 2 MiB
	}
	return 1 + rand.IntN(4096)
}

func (s *sender) blockCall(ctx context.Context, to uint16) {
	ref := s.ref(to)
	n := s.next(to, opBlockCall)
	pixels, err := fill(n, elements())
	if err != nil {
		s.j.bad(n.key(entryBad), "no array: %v", err)
		return
	}
	a, err := TakeBlock.Call(ctx, ref, block{*n, pixels})
	pixels.Release()
	s.sent(ctx, n, err)
	if err != nil {
		return
	}
	s.check(n, a.Ack, nil)
	if err := intact(n, a.Pixels); err != nil {
		s.j.bad(n.key(entryBad), "array in an answer: %v", err)
	}
	a.Pixels.Release()
}

func (s *sender) blockCast(ctx context.Context, to uint16) {
	ref := s.ref(to)
	n := s.next(to, opBlockCast)
	pixels, err := fill(n, elements())
	if err != nil {
		s.j.bad(n.key(entryBad), "no array: %v", err)
		return
	}
	err = TakeBlock.Cast(ctx, ref, block{*n, pixels})
	pixels.Release()
	s.sent(ctx, n, err)
}

func (s *sender) read(ctx context.Context, to uint16) {
	ref := s.ref(to)
	n := s.next(to, opStream)
	n.Count = rand.IntN(300)
	leaveAt := -1
	if rand.IntN(4) == 0 {
		leaveAt = rand.IntN(n.Count + 1)
	}
	next, left := 0, false
	var end error
	for it, err := range CountStream.Open(ctx, ref, *n) {
		if end != nil {
			s.j.bad(n.key(entryBad), "a stream goes on after %v", end)
		}
		if end = err; err != nil {
			continue
		}
		s.check(n, it.Ack, nil)
		if it.Index != next {
			s.j.bad(n.key(entryBad), "item %d of a stream, want %d", it.Index, next)
		}
		if err := intact(n, it.Pixels); err != nil {
			s.j.bad(n.key(entryBad), "array in item %d: %v", it.Index, err)
		}
		if want := map[bool]int{true: 32}[it.Index%16 == 7]; it.Pixels.Len() != want {
			s.j.bad(n.key(entryBad), "item %d with an array of %d, want %d", it.Index, it.Pixels.Len(), want)
		}
		it.Pixels.Release()
		next++
		if it.Index == leaveAt {
			left = true
			break
		}
	}
	if end == nil && !left && next != n.Count {
		s.j.bad(n.key(entryBad), "a stream of %d items, of %d, that ended without an error", next, n.Count)
	}
	if left {
		end = context.Canceled
	}
	s.sent(ctx, n, end)
}

// flush makes sure that every receiver has begun what was sent before.
func (s *sender) flush(ctx context.Context) {
	for _, to := range targets() {
		for ctx.Err() == nil && s.call(ctx, to, opFlush) != nil {
			time.Sleep(time.Millisecond) // it is being started again
		}
	}
	// The inbox answers nothing; its reader compares at the end.
}

// exitOf returns the end of an actor that err is about, if it is.
func exitOf(err error) (x *actor.ExitError, ok bool) {
	ok = errors.As(err, &x)
	return x, ok
}
