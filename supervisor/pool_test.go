package supervisor

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"time"

	"github.com/understudy-go/understudy/actor"
)

// The zero values are useful.
func TestPoolDefaults(t *testing.T) {
	r, err := Pool{Run: actor.Role{}}.rules("decoders", 0)
	if err != nil {
		t.Fatal(err)
	}
	n := runtime.NumCPU()
	want := poolRules{
		slots: 1, max: n, idle: time.Minute, parallel: n, intensity: n, period: 5 * time.Second,
		messages: 1024, bytes: 8 << 20, grace: time.Second, attempts: 3, refuseFor: 10 * time.Minute, keys: 1024,
	}
	if r != want {
		t.Fatalf("%+v\n%+v", r, want)
	}
	r, err = Pool{Run: actor.Role{}, Min: n + 1, Intensity: NoRestarts, IdleTimeout: Forever, KillGrace: Forever}.rules("decoders", 4)
	if err != nil || r.max != n+1 || r.intensity != 0 || r.idle != Forever || r.grace != Forever || r.slots != 4 {
		t.Fatalf("%v, %+v", err, r)
	}
	r, err = Pool{Run: actor.Role{}, Intensity: Unlimited, Max: 1}.rules("decoders", 1)
	if err != nil || r.intensity != unlimited || r.max != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
}

// "Max below min" and the like: every fault is reported together.
func TestPoolFaults(t *testing.T) {
	for _, tc := range []struct {
		pool Pool
		want []string
	}{
		{Pool{}, []string{"Run"}},
		{Pool{Min: 3, Max: 2}, []string{"Max 2 is below Min 3"}},
		{Pool{Min: -1, Max: -1, StartParallel: -1, Intensity: -3}, []string{"Intensity -3", "Min -1", "Max -1", "StartParallel -1"}},
		{Pool{IdleTimeout: -2, KillGrace: -2, MaxHandle: Forever, Period: -1}, []string{"IdleTimeout", "KillGrace", "MaxHandle", "Period"}},
		{Pool{Queue: Queue{-1, -1}}, []string{"Queue.Messages -1", "Queue.Bytes -1"}},
		{Pool{Recycle: Recycle{-1, -1, -1, -1, 1.1, false}}, []string{"Recycle.Uses", "Recycle.Age", "Recycle.IdleAge", "Recycle.Memory", "Recycle.Jitter"}},
		{Pool{Retry: Retry{Attempts: -1}, Quarantine: Quarantine{-1, -1, -1}}, []string{"Retry.Attempts", "Quarantine.Deaths", "Quarantine.For", "Quarantine.Keys"}},
	} {
		_, err := tc.pool.rules("decoders", 1)
		if !errors.Is(err, ErrBadSpec) {
			t.Fatalf("%+v: %v", tc.pool, err)
		}
		for _, want := range append(tc.want, `pool "decoders"`) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
}
