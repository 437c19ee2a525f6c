package transport

import (
	"sync/atomic"
	"time"

	"github.com/understudy-go/understudy/internal/sys"
)

// Ways in which the goroutine of a Sleeper waits.
const (
	awake     uint32 = iota
	inKernel         // its thread is blocked, on words of memory
	onChannel        // the Go runtime has parked it
	onSocket         // it reads a socket itself
)

// kernelPatience is how long a thread stays blocked, or up to twice as long. Then
// its goroutine sleeps on its channel: an idle process blocks no thread.
const kernelPatience = 100 * time.Millisecond

// A Sleeper is where one goroutine, the leader of a poller, sleeps until there
// is a record in one of some rings or another goroutine calls Wake.
//
// It sleeps in one of two ways. With its thread blocked in the kernel, on the
// tails of the rings, the writers wake it with a system call on their own
// memory: that is the fastest. But a thread is dear, and the Go runtime needs
// others. So at most GOMAXPROCS-1 goroutines of a process do that at a time,
// none for longer than 0.2 s. Beyond that, and where the kernel cannot do it, it
// sleeps on a channel, and the writers send a message by the socket beside the
// ring, whose reading goroutine takes what is in the ring.
//
// No wake-up is lost: the sleeper says that it sleeps, and how, and looks once
// more for a reason not to; whoever has a reason makes it visible first, and then
// asks whether a leader sleeps. The zero value is ready.
type Sleeper struct {
	mode atomic.Uint32
	word atomic.Uint32 // counts the times that it was woken in the kernel
	wake chan struct{} // gets one token for each time that Wake ends onChannel

	socket atomic.Pointer[Pollable] // that is read, onSocket
	waits  []futexWait

	sleeps  atomic.Uint32 // in the kernel
	armed   atomic.Bool   // timer will look after it
	tooLong atomic.Bool   // it has slept in the kernel for long enough
	timer   *time.Timer
	seen    uint32 // sleeps, when the timer last looked; of the timer

	kernel futexes // nil: the real one
	hook   func(step)
}

// futexes is the kernel, for tests to replace.
type futexes interface {
	sleep(words []futexWait) (timedOut bool)
	wakeLocal(s *Sleeper)
	wakeChannel(s *Sleeper)
	awaitChannel(s *Sleeper, done <-chan struct{}) (woken bool)
}

const (
	stepMode    step = "mode set"
	stepWord    step = "local word read"
	stepWokeBy  step = "mode read by a waker"
	stepClaimed step = "sleeper claimed by a waker"
	stepLocal   step = "local word changed"
	stepUnpark  step = "unparked"
)

func (s *Sleeper) step(at step) {
	if s.hook != nil {
		s.hook(at)
	}
}

// Block sleeps in the kernel until a ring has a record or Wake is called, unless
// ready is true: it is asked behind all preparations. It may also return for
// nothing. It is false if it could not sleep so, or not any longer: then it is
// time for [Sleeper.Wait]. The rings must be entered.
func (s *Sleeper) Block(rings []*Rings, ready interface{ Ready() bool }) bool {
	if s.kernel == nil {
		if !hasFutexes() || !sys.Threads.Reserve() {
			return false
		}
		defer sys.Threads.Release()
	}
	words := append(s.waits[:0], waitForPrivate(&s.word, s.word.Load())) // before any waker can see that it sleeps
	s.step(stepWord)
	s.sleeps.Add(1)
	s.mode.Store(inKernel)
	s.step(stepMode)
	for _, r := range rings {
		if r.in.park(len(words) < maxFutexes); len(words) < maxFutexes {
			words = append(words, waitForShared(r.in.tail, atomic.LoadUint64(r.in.tail)))
			r.in.step(stepSeen)
		}
	}
	s.waits = words
	timedOut := false
	if !ready.Ready() {
		if s.kernel != nil {
			timedOut = s.kernel.sleep(words)
		} else {
			s.watch()
			timedOut = !futexSleep(words) || s.tooLong.Swap(false)
		}
	}
	s.mode.Store(awake)
	s.step(stepMode)
	for _, r := range rings {
		r.in.unpark()
	}
	return !timedOut
}

// watch sees to it that no sleep in the kernel lasts for long. One timer looks now
// and then, for many sleeps.
func (s *Sleeper) watch() {
	if s.armed.Load() || !s.armed.CompareAndSwap(false, true) {
		return
	}
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Hour, s.lookAfter)
	}
	s.timer.Reset(sys.Threads.MostTime(kernelPatience))
}

// lookAfter ends a sleep that has lasted since the timer last looked.
func (s *Sleeper) lookAfter() {
	n := s.sleeps.Load()
	switch {
	case n != s.seen:
		s.seen = n
		s.timer.Reset(sys.Threads.MostTime(kernelPatience))
		return
	case s.mode.Load() == inKernel:
		s.tooLong.Store(true)
		s.Wake()
	}
	s.armed.Store(false)
	if s.mode.Load() == inKernel {
		s.watch() // it fell asleep meanwhile
	}
}

// Wait sleeps on a channel until Wake is called or done is closed, unless ready
// is true: it is asked behind all preparations. The rings must be entered; what
// comes by them is for who reads their socket to take: see [Sleeper.Again].
func (s *Sleeper) Wait(rings []*Rings, ready interface{ Ready() bool }, done <-chan struct{}) {
	if s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.mode.Store(onChannel)
	s.step(stepMode)
	for _, r := range rings {
		r.in.parking.Lock()
		r.in.park(false)
		r.in.parking.Unlock()
	}
	woken := false
	if !ready.Ready() {
		woken = s.await(done)
	}
	if !woken && !s.mode.CompareAndSwap(onChannel, awake) {
		s.await(nil) // for the token that is on its way
	}
	s.step(stepMode)
	for _, r := range rings {
		r.in.parking.Lock() // then Again sees the mode
		r.in.unpark()
		r.in.parking.Unlock()
	}
}

func (s *Sleeper) await(done <-chan struct{}) (woken bool) {
	if s.kernel != nil {
		return s.kernel.awaitChannel(s, done)
	}
	if done == nil {
		<-s.wake
		return true
	}
	select {
	case <-s.wake:
		return true
	case <-done:
		return false
	}
}

// Again is for the goroutine that has taken from r, which it has entered, all
// that was there, because it read a message of the socket. If the sleeper sleeps
// on, it asks for the next such message, and is true: then the caller must look
// once more, as who goes to sleep does.
func (s *Sleeper) Again(r *Rings) bool {
	switch s.mode.Load() {
	case onChannel:
		r.in.parking.Lock()
		defer r.in.parking.Unlock()
		mode := s.mode.Load()
		s.step(stepWokeBy)
		if mode != onChannel {
			return false
		}
		r.in.park(false)
		return true
	case inKernel:
		if p := atomic.LoadUint64(r.in.parked); p != 0 && p&parkedInKernel == 0 {
			s.Wake() // there are more rings than words: it begins again
		}
	}
	return false
}

// Reading has Wake interrupt the goroutine that is about to receive from socket.
// It must look for a reason not to receive after that; Awake ends it.
func (s *Sleeper) Reading(socket *Pollable) {
	s.socket.Store(socket)
	s.mode.Store(onSocket)
}

// Awake says that the goroutine has received.
func (s *Sleeper) Awake() { s.mode.Store(awake) }

// Asleep reports whether the goroutine sleeps and was not woken.
func (s *Sleeper) Asleep() bool { return s.mode.Load() != awake }

// OnChannel reports whether the goroutine sleeps in [Sleeper.Wait] and was not woken.
func (s *Sleeper) OnChannel() bool { return s.mode.Load() == onChannel }

// Wake has the goroutine look for what the caller has done before, if it sleeps.
// That costs next to nothing if it does not. Of several calls one wakes.
func (s *Sleeper) Wake() {
	mode := s.mode.Load()
	s.step(stepWokeBy)
	if mode == awake || !s.mode.CompareAndSwap(mode, awake) {
		return
	}
	s.step(stepClaimed)
	switch mode {
	case inKernel:
		s.word.Add(1)
		s.step(stepLocal)
		if s.kernel != nil {
			s.kernel.wakeLocal(s)
		} else {
			futexWakePrivate(&s.word)
		}
	case onChannel:
		if s.kernel != nil {
			s.kernel.wakeChannel(s)
		} else {
			s.wake <- struct{}{}
		}
	case onSocket:
		(*s.socket.Load()).interrupt()
	}
}
