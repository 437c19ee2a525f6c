package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

const testLimit = 64 << 20

// kept is what stays alive in a servant.
var kept [][]byte

func touched(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	return b
}

func init() {
	orders["watch-heap"] = func(arg string) string { n, _ := strconv.ParseInt(arg, 10, 64); WatchHeap(n); return "ok" }
	orders["keep"] = func(arg string) string { // MiB
		n, _ := strconv.Atoi(arg)
		for range n * 256 {
			kept = append(kept, touched(4096))
		}
		return "ok"
	}
	// Garbage of all sizes as fast as it can be made, while what is kept is renewed.
	orders["garbage"] = func(arg string) string { // MiB
		total, _ := strconv.Atoi(arg)
		var sink []byte
		for i, made := 0, 0; made < total<<20; i++ {
			n := 64 << (i % 12)
			if i%500 == 0 {
				n = 3 << 20
			}
			sink = touched(n)
			made += n
			if len(kept) > 0 && i%8 == 0 {
				kept[i/8%len(kept)] = touched(4096)
			}
		}
		return fmt.Sprint(len(sink) > 0)
	}
	orders["bomb"] = func(string) string {
		for range 4 << 10 {
			kept = append(kept, touched(1<<20))
		}
		return "survived 4 GiB"
	}
	orders["leak"] = func(string) string { // 50 MiB a second
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 4 << 10 {
			kept = append(kept, touched(1<<20))
			<-tick.C
		}
		return "survived 4 GiB"
	}
	orders["huge"] = func(string) string { kept = append(kept, make([]byte, 3600<<20)); return "has it" }
	// Mapped anonymous memory that no collector knows: as C code does it.
	orders["map"] = func(arg string) string { // MiB
		n, _ := strconv.Atoi(arg)
		for range n {
			b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return err.Error()
			}
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
		}
		return "ok"
	}
	orders["share"] = func(arg string) string { // MiB of what is not its own
		n, _ := strconv.Atoi(arg)
		b, err := unix.Mmap(-1, 0, n<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err != nil {
			return err.Error()
		}
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		return "ok"
	}
}

// limited starts a servant with a memory limit, as far as an actor's runtime takes it.
func limited(t *testing.T) *servant {
	t.Helper()
	s := serve(t, func(c *Command) { c.Limits.Memory = testLimit })
	s.ask("watch-heap " + strconv.Itoa(testLimit))
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemoryJudge(t *testing.T) {
	const limit = 100 << 20
	type sample struct {
		ms       int
		resident int64
		kill     bool
	}
	for name, samples := range map[string][]sample{
		"below":                          {{0, 1, false}, {1000, limit, false}, {2000, limit, false}},
		"above for a moment":             {{0, limit + 1, false}, {50, limit + 1, false}, {99, limit + 1, false}, {101, limit, false}, {150, limit + 1, false}, {249, limit + 1, false}},
		"above for long":                 {{0, limit + 1, false}, {50, limit + 1, false}, {100, limit + 1, true}},
		"one late sample is a moment":    {{0, 1, false}, {5000, limit + 1, false}, {5002, limit, false}},
		"thrice":                         {{0, 1, false}, {1, 3*limit + 1, true}},
		"not quite thrice":               {{0, 1, false}, {1, 3 * limit, false}},
		"above and above after a moment": {{0, 2 * limit, false}, {60, 1, false}, {70, 2 * limit, false}, {169, 2 * limit, false}, {170, 2 * limit, true}},
	} {
		j := memoryJudge{limit: limit}
		start := time.Now()
		for _, s := range samples {
			kill, next := j.sample(start.Add(time.Duration(s.ms)*time.Millisecond), s.resident)
			if kill != s.kill || !kill && (next < memoryPollMin || next > memoryPollMax) {
				t.Errorf("%s: after %d ms: %v, next in %v", name, s.ms, kill, next)
			}
		}
	}
	j := memoryJudge{limit: limit}
	for resident, want := range map[int64]time.Duration{limit: memoryPollMin, 2 * limit: memoryPollMin, 0: 100 << 20 * time.Second / memoryRate} {
		if _, next := j.sample(time.Time{}, resident); next != want {
			t.Errorf("with %d bytes the next look is in %v, want %v", resident, next, want)
		}
	}
	if j = (memoryJudge{limit: 1 << 40}); true {
		if _, next := j.sample(time.Time{}, 0); next != memoryPollMax {
			t.Errorf("far away the next look is in %v", next)
		}
	}
}

func TestAnonymousMemory(t *testing.T) {
	const status = "Name:\tRssAnon:\nVmRSS:\t  9000 kB\nRssAnon:\t    1000 kB\nRssFile:\t 5000 kB\nRssShmem:\t 3000 kB\nVmSwap:\t      24 kB\n"
	if n, ok := anonymous([]byte(status)); n != 1024<<10 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	if n, ok := anonymous([]byte("Name:\tx\nRssAnon:\t7 kB\n")); n != 7<<10 || !ok {
		t.Errorf("without swap: %d, %v", n, ok)
	}
	if _, ok := anonymous([]byte("Name:\tx\nState:\tZ (zombie)\n")); ok {
		t.Error("a zombie has memory")
	}
}

func TestHeapGuard(t *testing.T) {
	for name, c := range map[string]struct {
		alive []int64
		ends  bool
	}{
		"below":        {[]int64{1, 100, 100}, false},
		"once":         {[]int64{101, 100, 101, 1}, false},
		"two in a row": {[]int64{1, 101, 101}, true},
	} {
		ended := 0
		g := heapGuard{limit: 100, end: func(alive, limit int64) { ended++ }}
		for _, alive := range c.alive {
			g.collected(alive)
		}
		if (ended == 1) != c.ends || ended > 1 {
			t.Errorf("%s: ended %d times", name, ended)
		}
	}
}

// A worker with half of its limit alive lives, whatever garbage it makes, and what it maps of others is not its own.
func TestHealthyWorkerLivesWithinItsLimit(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's shadow is the worker's own memory")
	}
	leaktest.Check(t)
	s := limited(t)
	for _, order := range []string{"keep 30", "garbage 600", "share 200", "garbage 200"} {
		if got := s.ask(order); got != "ok" && got != "true" {
			t.Errorf("%s: %s", order, got)
		}
	}
	s.tell("exit 3")
	st := ended(t, s.Process)
	if st.Code != 3 || st.OutOfMemory || st.MemoryError() != nil {
		t.Errorf("status %v, %v", st, st.Memory)
	}
	if m := st.Memory; m.Limit != testLimit || m.Peak < 30<<20 || m.Peak > memoryFactor*testLimit {
		t.Errorf("measured: %v", m)
	}
}

// However it takes too much, it ends for that reason, soon, and alone.
func TestTooMuchMemoryEndsTheChildAlone(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's shadow is the worker's own memory")
	}
	leaktest.Check(t)
	neighbour := limited(t)
	// On a machine that is busy with other things the poll may be late, and RLIMIT_DATA is the bound. (Of "map 4000" it
	// refuses most, which the servant says, and lives until it is killed.)
	const most = 4 * testLimit
	for _, order := range []string{"leak", "bomb", "huge", "map 4000", "map 80"} {
		t.Run(order, func(t *testing.T) {
			s := limited(t)
			s.ask("keep 20")
			s.tell(order)
			st := ended(t, s.Process)
			if !st.OutOfMemory || st.Success() {
				t.Errorf("status %v, crash %.300q", st, st.Crash)
			}
			if err := st.MemoryError(); err == nil || !strings.Contains(err.Error(), "limit 64.0 MiB, resident ") || !strings.Contains(err.Error(), ", peak ") {
				t.Errorf("error %v", err)
			}
			if st.MaxRSS > most {
				t.Errorf("%d MiB were resident", st.MaxRSS>>20)
			}
			if neighbour.ask("ping") != "pong" {
				t.Error("the neighbour does not answer")
			}
		})
	}
}

func TestForeignMemoryBombDies(t *testing.T) {
	leaktest.Check(t)
	tail, err := exec.LookPath("tail")
	if err != nil {
		t.Skip("no tail to eat memory with")
	}
	// It keeps the last lines of its input, and /dev/zero has no line ends.
	p := start(t, Command{Path: tail, Args: []string{"/dev/zero"}, Limits: Limits{Memory: testLimit}})
	if err := p.Ready(); err != nil {
		t.Error(err)
	}
	if st := ended(t, p); st.Success() || st.MaxRSS > 4*testLimit {
		t.Errorf("status %v, peak %d MiB, stderr %q", st, st.MaxRSS>>20, st.Stderr)
	}
}

// A limit that nothing could live with is an error, and nothing was started.
func TestTooSmallAMemoryLimit(t *testing.T) {
	leaktest.Check(t)
	for _, c := range []struct {
		path   string
		memory int64
		ok     bool
	}{
		{"", leastOwn - 1, false}, {"", leastOwn, true}, {"", 1, false}, {"", -1, false},
		{"/bin/true", leastForeign - 1, false}, {"/bin/true", leastForeign, true},
	} {
		cmd := role("exit")
		cmd.Path, cmd.Limits.Memory = c.path, c.memory
		p, err := Start(bounded(t), cmd)
		var limit *LimitError
		switch {
		case c.ok && err != nil, !c.ok && (!errors.As(err, &limit) || limit.Limit != "memory" || !errors.Is(err, unix.EINVAL)):
			t.Errorf("%d bytes for %q: %v", c.memory, c.path, err)
		case c.ok:
			if st := ended(t, p); !st.Success() && !raceEnabled {
				t.Errorf("%d bytes for %q: %v", c.memory, c.path, st)
			}
		}
	}
}

// Ready without a limit, and of the dead, is nothing.
func TestReadyIsForLimits(t *testing.T) {
	leaktest.Check(t)
	s := serve(t, nil)
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	if got := s.ask("map 1"); got != "ok" {
		t.Error(got)
	}
	bound := limited(t)
	bound.tell("exit 0")
	ended(t, bound.Process)
	if err := bound.Ready(); err != nil {
		t.Error(err)
	}
}
