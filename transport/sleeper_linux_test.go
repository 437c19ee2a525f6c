package transport

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/internal/sys"
)

// always blocks: no sleep in the kernel ends by itself.
func always(t *testing.T) {
	t.Helper()
	if !hasFutexes() {
		t.Skip("this kernel cannot wait for several words")
	}
	sys.Threads.Patience.Store(int64(time.Hour))
	t.Cleanup(func() { sys.Threads.Patience.Store(0) })
}

// processors has the test run with n Ps.
func processors(t *testing.T, n int) {
	t.Helper()
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// readyFunc is what a Sleeper asks.
type readyFunc func() bool

func (f readyFunc) Ready() bool { return f() }

// A sleeper that was woken by one word, its own or a ring's, sleeps again until
// the next event: it does not find the old one.
func TestSleeperBlocksAgain(t *testing.T) {
	always(t)
	processors(t, 3)
	a, b := newRingPair(t)
	c, d := newRingPair(t)
	var s Sleeper
	var done, reason atomic.Bool
	var returned, events atomic.Int64
	taken := uint64(0)
	var sleeper sync.WaitGroup
	sleeper.Go(func() {
		ready := readyFunc(func() bool { return b.Pending() || d.Pending() || reason.Load() || done.Load() })
		for !done.Load() {
			if !s.Block([]*Rings{b, d}, ready) {
				t.Error("it did not block")
				return
			}
			returned.Add(1)
			for _, r := range []*Rings{b, d} {
				for r.Pending() {
					_, _, _ = r.Front()
					_, _ = r.Take(nil)
					taken++
					events.Add(1)
				}
			}
			if reason.Swap(false) {
				events.Add(1)
			}
		}
	})
	const n = 3000
	for i := int64(1); i <= n; i++ {
		for !s.Asleep() {
			runtime.Gosched()
		}
		switch i % 3 {
		case 0:
			reason.Store(true)
			s.Wake()
		case 1:
			_, _, _ = a.Write(uint64(i), []byte("one"))
		case 2:
			_, _, _ = c.Write(uint64(i), []byte("other"))
		}
		for events.Load() < i {
			runtime.Gosched()
		}
	}
	done.Store(true)
	s.Wake()
	sleeper.Wait()
	if r := returned.Load(); r > 2*n {
		t.Errorf("%d sleeps ended by %d events", r, n)
	}
	if taken != n/3*2 {
		t.Errorf("%d records were taken", taken)
	}
}

// The bound: GOMAXPROCS-1 goroutines block threads, whoever comes later does not,
// and with one P none does.
func TestSleepersAreBounded(t *testing.T) {
	always(t)
	for _, procs := range []int{1, 3} {
		processors(t, procs)
		sleepers := make([]Sleeper, procs+1)
		var over atomic.Bool
		refused := make(chan int, len(sleepers))
		var sleeping sync.WaitGroup
		for i := range sleepers {
			sleeping.Go(func() {
				if !sleepers[i].Block(nil, readyFunc(over.Load)) {
					refused <- i
				}
			})
		}
		for range 2 {
			<-refused
		}
		if got := sys.Threads.Blocked(); got != procs-1 {
			t.Errorf("%d block with %d Ps", got, procs)
		}
		over.Store(true)
		for i := range sleepers {
			sleepers[i].Wake()
		}
		sleeping.Wait()
		if len(refused) > 0 {
			t.Errorf("%d more did not block", len(refused))
		}
	}
}

// Neither the collector nor a call to all threads waits for those who sleep.
func TestSleepersHoldNothingUp(t *testing.T) {
	always(t)
	processors(t, 3)
	var s [2]Sleeper
	var over atomic.Bool
	var sleeping sync.WaitGroup
	for i := range s {
		_, b := newRingPair(t)
		sleeping.Go(func() {
			for !over.Load() {
				if !s[i].Block([]*Rings{b}, readyFunc(over.Load)) {
					t.Error("it did not block")
				}
			}
		})
	}
	for i := range s {
		for !s[i].Asleep() {
			runtime.Gosched()
		}
	}
	for range 20 {
		runtime.GC()
		if _, _, errno := syscall.AllThreadsSyscall(syscall.SYS_GETPID, 0, 0, 0); errno != 0 && errno != syscall.ENOTSUP {
			t.Fatal(errno)
		}
	}
	over.Store(true)
	for i := range s {
		s[i].Wake()
	}
	sleeping.Wait()
}

// A sleeper for whom nothing happens gives its thread back.
func TestIdleSleeperLeavesTheKernel(t *testing.T) {
	always(t)
	processors(t, 2)
	sys.Threads.Patience.Store(int64(time.Millisecond))
	_, b := newRingPair(t)
	var s Sleeper
	for s.Block([]*Rings{b}, readyFunc(func() bool { return false })) {
	}
	if s.Asleep() || sys.Threads.Blocked() != 0 || b.in.pending() || *b.in.parked != 0 {
		t.Error("it is not awake")
	}
}

// A sleeper on its channel is woken by its own process, by the end of patience,
// and asks its peer for messages of the socket.
func TestSleeperOnItsChannel(t *testing.T) {
	a, b := newRingPair(t)
	var s Sleeper
	woke := make(chan struct{})
	done := make(chan struct{})
	wait := func() {
		s.Wait([]*Rings{b}, readyFunc(b.Pending), done)
		woke <- struct{}{}
	}
	go wait()
	for !s.OnChannel() || !a.PeerParked() {
		runtime.Gosched()
	}
	if ok, notify, err := a.Write(1, []byte("x")); !ok || !notify || err != nil {
		t.Errorf("writing: %v, %v, %v", ok, notify, err)
	}
	if ok, notify, err := a.Write(2, []byte("y")); !ok || notify || err != nil {
		t.Errorf("writing once more: %v, %v, %v", ok, notify, err)
	}
	for range 2 {
		_, _, _ = b.Front()
		_, _ = b.Take(nil)
	}
	if !s.Again(b) {
		t.Error("it does not sleep on")
	}
	if _, notify, _ := a.Write(3, nil); !notify {
		t.Error("the next sleep is the same")
	}
	s.Wake()
	s.Wake()
	<-woke
	if s.Again(b) || a.PeerParked() {
		t.Error("it sleeps still")
	}
	_, _, _ = b.Front()
	_, _ = b.Take(nil)
	go wait()
	for !s.OnChannel() {
		runtime.Gosched()
	}
	close(done)
	<-woke
	if s.Asleep() {
		t.Error("it sleeps when its patience is over")
	}
}

// More rings than a wait has words: the rest wake by the socket.
func TestSleeperWithManyRings(t *testing.T) {
	always(t)
	processors(t, 2)
	var writers, readers []*Rings
	for range maxFutexes + 3 {
		a, b := newRingPair(t)
		writers, readers = append(writers, a), append(readers, b)
	}
	var s Sleeper
	pending := readyFunc(func() bool {
		for _, r := range readers {
			if r.Pending() {
				return true
			}
		}
		return false
	})
	for i, w := range writers {
		woke := make(chan bool)
		go func() { woke <- s.Block(readers, pending) }()
		for !s.Asleep() || !w.PeerParked() {
			runtime.Gosched()
		}
		_, notify, _ := w.Write(uint64(i+1), nil)
		if notify != (i >= maxFutexes-1) {
			t.Errorf("ring %d: by the socket %v", i, notify)
		}
		_, _, _ = readers[i].Front()
		_, _ = readers[i].Take(nil)
		if notify && s.Again(readers[i]) { // which wakes it
			t.Error("it sleeps on a channel")
		}
		if !notify {
			s.Wake() // or the futex has
		}
		if !<-woke {
			t.Error("it did not block")
		}
	}
}
