package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
)

// puppet is an actor that does as it is told, and writes it into the diary.
type puppet struct {
	stage stage
	sum   int
	later []*actor.Pending[string]
}

// stage is what a puppet is started with.
type stage struct {
	Diary string
	Test  int    // the test's process
	Start string // what the constructor does: "", fail, ignore, do not restart, hang, panic
}

func newPuppet(ctx context.Context, s stage) (*puppet, error) {
	switch s.Start {
	case "fail":
		return nil, fmt.Errorf("no stage: %w", fs.ErrNotExist)
	case "ignore":
		return nil, actor.ErrIgnore
	case "hang":
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case "panic":
		panic("stage fright")
	}
	return &puppet{stage: s}, nil
}

func (p *puppet) write(line string) { write(p.stage.Diary, line) }

// write opens the diary each time: a puppet that panics cannot close it.
func write(diary, line string) {
	if line == "" {
		return
	}
	f, err := os.OpenFile(diary, os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, line); err != nil {
		panic(err)
	}
}

// die ends the actor as hard as its mode allows.
func (p *puppet) die() { killSelf(p.stage.Test) }

func killSelf(test int) {
	if os.Getpid() == test {
		panic("a goroutine cannot be killed")
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// act is one thing to do.
type act struct {
	Note string // for the diary, at once
	Gate string // to wait at
	Then string // how to end
	Fill []byte
}

var errPuppet = errors.New("the puppet's own error")

func (p *puppet) Act(ctx context.Context, a act) (string, error) {
	p.write(a.Note)
	pass(a.Gate)
	switch a.Then {
	case "panic":
		fmt.Fprintln(os.Stderr, "last words")
		panic("as told by " + a.Note)
	case "die":
		p.die()
	case "exit":
		actor.Exit(ctx, fmt.Errorf("as told: %w", fs.ErrPermission))
	case "exit nil":
		actor.Exit(ctx, nil)
	case "exit for good":
		actor.Exit(ctx, fmt.Errorf("enough: %w", actor.ErrDoNotRestart))
	case "exit code 125":
		os.Exit(actor.ExitCodeDoNotRestart)
	case "explain":
		fmt.Println("the reason")
		os.Exit(3)
	case "exit code 3":
		os.Exit(3)
	case "ctx":
		<-ctx.Done()
		p.write("ctx: " + context.Cause(ctx).Error())
		return "", context.Cause(ctx)
	case "deadline":
		_, ok := ctx.Deadline()
		return fmt.Sprint(ok), nil
	case "error":
		return "", errPuppet
	}
	return a.Note, nil
}

func (p *puppet) Add(_ context.Context, n int) (int, error) { p.sum += n; return p.sum, nil }

func (p *puppet) Me(ctx context.Context, _ actor.None) (actor.Ref[puppet], error) {
	return actor.Self(ctx, Puppets), nil
}

func (p *puppet) PID(context.Context, actor.None) (int, error) { return os.Getpid(), nil }

// Defer replies later; Release replies to all that wait.
func (p *puppet) Defer(ctx context.Context, note string) (string, error) {
	r := actor.Later[string](ctx)
	p.later = append(p.later, r)
	p.write(note)
	return r.Pending()
}

func (p *puppet) Release(_ context.Context, v string) ([]bool, error) {
	var twice []bool
	for _, r := range p.later {
		if err := r.Reply(v, nil); err != nil {
			return nil, err
		}
		twice = append(twice, errors.Is(r.Reply("again", nil), actor.ErrDuplicate))
	}
	p.later = nil
	return twice, nil
}

// relay is a call that goes on from puppet to puppet.
type relay struct {
	Note  string
	Gate  string // of the first one
	Then  string // of the last one
	Route []actor.Ref[puppet]

	Future bool // wait for futures
}

func (p *puppet) Relay(ctx context.Context, r relay) (string, error) {
	if len(r.Route) == 0 {
		return p.Act(ctx, act{Note: r.Note, Gate: r.Gate, Then: r.Then})
	}
	p.write(r.Note)
	pass(r.Gate)
	next := relay{Note: r.Note, Then: r.Then, Route: r.Route[1:], Future: r.Future}
	var v string
	var err error
	if r.Future {
		v, err = PuppetRelay.Go(ctx, r.Route[0], next).Result()
	} else {
		v, err = PuppetRelay.Call(ctx, r.Route[0], next)
	}
	if err != nil {
		err = fmt.Errorf("relayed: %w", err)
	}
	return v, err
}

// poison is a request whose decoder ends the actor.
type poison struct {
	Diary string
	Test  int
}

type antidote struct {
	Diary string
	Test  int
}

func (p *poison) DecodeMsgpack(dec *msgpack.Decoder) error {
	var a antidote
	if err := dec.Decode(&a); err != nil {
		return err
	}
	write(a.Diary, "decoding poison")
	if os.Getpid() == a.Test {
		runtime.Goexit()
	}
	killSelf(a.Test)
	return nil
}

func (p poison) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.Encode(antidote(p)) }

func (p *puppet) Swallow(context.Context, poison) (int, error) { return 0, nil }

// mislabeled is a request whose decoder panics like a buggy one.
type mislabeled struct{ A int }

func (*mislabeled) DecodeMsgpack(*msgpack.Decoder) error { panic("decoder bug") }

func (p *puppet) Misread(context.Context, mislabeled) (int, error) { return 0, nil }

// wordy is more than one argument on the wire.
type wordy struct {
	actor.Args
	A string
	B int
}

func (p *puppet) Words(_ context.Context, w wordy) (string, error) {
	return fmt.Sprint(w.A, w.B), nil
}

// Echo answers with n bytes, to a request of any size.
func (p *puppet) Echo(_ context.Context, r echo) (echo, error) {
	return echo{Data: make([]byte, r.Want), Got: len(r.Data)}, nil
}

type echo struct {
	Data []byte
	Want int
	Got  int
}

// Fat counts, as Add does, and answers with n bytes.
func (p *puppet) Fat(_ context.Context, n int) ([]byte, error) { p.sum++; return make([]byte, n), nil }

// Feast calls Fat r.N times at once.
func (p *puppet) Feast(ctx context.Context, r burst) (string, error) {
	var all []*actor.Future[[]byte]
	for range r.N {
		all = append(all, PuppetFat.Go(ctx, r.To, fat))
	}
	p.write("sent")
	for _, f := range all {
		if _, err := f.Result(); err != nil {
			return "", err
		}
	}
	return r.Note, nil
}

const fat = 1 << 20

// burst is many casts at once.
type burst struct {
	To   actor.Ref[puppet]
	N    int
	Note string // for the diary, afterwards
	Then string // how to end
}

func (p *puppet) Burst(ctx context.Context, r burst) (string, error) {
	for range r.N {
		if err := PuppetAdd.Cast(ctx, r.To, 1); err != nil {
			return "", err
		}
	}
	return p.Act(ctx, act{Note: r.Note, Then: r.Then})
}

var (
	Puppets       = actor.Define("puppet", newPuppet, actor.KindOptions{Errors: []error{errPuppet}})
	PuppetAct     = actor.DefineMethod(Puppets, "act", (*puppet).Act)
	PuppetAdd     = actor.DefineMethod(Puppets, "add", (*puppet).Add)
	PuppetPID     = actor.DefineMethod(Puppets, "pid", (*puppet).PID)
	PuppetDefer   = actor.DefineMethod(Puppets, "defer", (*puppet).Defer)
	PuppetRelease = actor.DefineMethod(Puppets, "release", (*puppet).Release)
	PuppetSwallow = actor.DefineMethod(Puppets, "swallow", (*puppet).Swallow)
	PuppetMisread = actor.DefineMethod(Puppets, "misread", (*puppet).Misread)
	PuppetWords   = actor.DefineMethod(Puppets, "words", (*puppet).Words)
	PuppetFat     = actor.DefineMethod(Puppets, "fat", (*puppet).Fat)
	PuppetEcho    = actor.DefineMethod(Puppets, "echo", (*puppet).Echo)

	// These refer to themselves and are set in init.
	PuppetMe    *actor.Method[puppet, actor.None, actor.Ref[puppet]]
	PuppetRelay *actor.Method[puppet, relay, string]
	PuppetBurst *actor.Method[puppet, burst, string]
	PuppetFeast *actor.Method[puppet, burst, string]

	// Crowds are puppets with two hands.
	Crowds   = actor.Define("crowd", newPuppet, actor.KindOptions{Concurrent: 2})
	CrowdAct = actor.DefineMethod(Crowds, "act", (*puppet).Act)
)

func init() {
	PuppetMe = actor.DefineMethod(Puppets, "me", (*puppet).Me)
	PuppetRelay = actor.DefineMethod(Puppets, "relay", (*puppet).Relay)
	PuppetFeast = actor.DefineMethod(Puppets, "feast", (*puppet).Feast)
	PuppetBurst = actor.DefineMethod(Puppets, "burst", (*puppet).Burst)
	actor.DefineMethod(Crowds, "relay", (*puppet).Relay)
}

// ghostMethod is declared by a frontend, in this process alone.
var ghostMethod = sync.OnceValue(func() *actor.Method[puppet, int, int] {
	return actor.DeclareMethod[int, int](Puppets, "ghost")
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
