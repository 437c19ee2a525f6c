package runtime

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
)

// AboutProfile is the question for a profile of the process; its arguments are a
// [ProfileOrder].
const AboutProfile = "profile"

// ProfileOrder says which profile.
type ProfileOrder struct {
	Name  string        `msgpack:"name"`            // of runtime/pprof, or "profile" (CPU) or "trace"
	For   time.Duration `msgpack:"for,omitempty"`   // of a CPU profile or a trace
	Debug int           `msgpack:"debug,omitempty"` // as of pprof.Profile.WriteTo
	GC    bool          `msgpack:"gc,omitempty"`    // collect first, for a heap profile
}

// maxProfile bounds a profile, which is in the memory of each process on its way
// to the root, in bytes.
const maxProfile = 64 << 20

func init() { RegisterAnswer(AboutProfile, profile) }

func profile(ctx context.Context, _ *System, _ *Instance, args []byte) ([]byte, error) {
	var o ProfileOrder
	if err := codec.DecodeResult(args, &o); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := o.write(ctx, &b); err != nil {
		return nil, fmt.Errorf("profile %q: %w", o.Name, err)
	}
	if b.Len() > maxProfile {
		return nil, fmt.Errorf("profile %q of %d bytes, limit %d: %w", o.Name, b.Len(), maxProfile, actor.ErrTooLarge)
	}
	return b.Bytes(), nil
}

func (o ProfileOrder) write(ctx context.Context, b *bytes.Buffer) error {
	wait := func() {
		t := time.NewTimer(o.For)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	switch o.Name {
	case "profile":
		if err := pprof.StartCPUProfile(b); err != nil {
			return err
		}
		wait()
		pprof.StopCPUProfile()
		return ctx.Err()
	case "trace":
		if err := trace.Start(b); err != nil {
			return err
		}
		wait()
		trace.Stop()
		return ctx.Err()
	}
	p := pprof.Lookup(o.Name)
	if p == nil {
		return actor.ErrNotFound
	}
	if o.GC && o.Name == "heap" {
		runtime.GC()
	}
	return p.WriteTo(b, o.Debug)
}

// Profile returns a profile of the process in which the actor at path runs.
func (s *System) Profile(ctx context.Context, path string, o ProfileOrder) ([]byte, error) {
	return s.Ask(ctx, path, AboutProfile, codec.EncodeControl(o))
}
