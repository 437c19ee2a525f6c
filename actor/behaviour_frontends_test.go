package actor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// Till is the frontend of a till, and its tag.
type Till struct{ _ int }

var errNoMoney = errors.New("till: not enough money")

var (
	Tills    = actor.Declare[Till, int]("till", actor.KindOptions{Errors: []error{errNoMoney}})
	TillTake = actor.DeclareMethod[int, int](Tills, "take")
	TillList = actor.DeclareStream[actor.None, int](Tills, "list")
)

// till is the backend.
type till struct{ money int }

func newTill(_ context.Context, money int) (*till, error) { return &till{money}, nil }

func (t *till) Take(_ context.Context, n int) (int, error) {
	if n > t.money {
		return 0, fmt.Errorf("%d of %d: %w", n, t.money, errNoMoney)
	}
	t.money -= n
	return t.money, nil
}

func (t *till) List(context.Context, actor.None) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range t.money {
			if !yield(i, nil) {
				return
			}
		}
	}
}

func init() {
	actor.Implement(Tills, newTill, actor.ImplementMethod(TillTake, (*till).Take), actor.ImplementStream(TillList, (*till).List))
}

// The split form: the frontend knows nothing of the backend.
func TestSplitForm(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "t", Run: Tills.With(10)})
		r, err := Tills.Lookup(b.tree, "t")
		b.must(err)
		check(b, 7)(TillTake.Call(b.ctx, r, 3))
		_, err = TillTake.Call(b.ctx, r, 8)
		b.is(err, errNoMoney)
		check(b, 7)(drink(b, TillList.Open(b.ctx, r, actor.None{})))
	})
}

// Speller is a kind that another executable runs: one that speaks plain
// MessagePack-RPC and has never heard of us.
type Speller struct{ _ int }

var (
	Spellers    = actor.Declare[Speller, string]("speller")
	SpellerAdd  = actor.DeclareMethod[operands, int](Spellers, "add")
	SpellerFail = actor.DeclareMethod[actor.None, int](Spellers, "fail")
	SpellerDie  = actor.DeclareMethod[actor.None, int](Spellers, "die")
)

type operands struct {
	actor.Args
	A, B int
}

func init() {
	actor.External(Spellers, func(mode string) *exec.Cmd {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), foreignPeer+"="+mode, "GORACE=atexit_sleep_ms=0")
		return cmd
	})
}

// foreignPeer in the environment makes this program something else than a test.
const foreignPeer = "BEHAVIOUR_FOREIGN"

func foreignMain() {
	switch os.Getenv(foreignPeer) {
	case "plain":
		speakPlain(nil)
	case "greedy":
		speakPlain(func(enc *msgpack.Encoder) {
			for id := 1; ; id++ {
				if enc.Encode([]any{0, id, strings.Repeat("m", 1000), []any{}}) != nil {
					select {} // until it is killed
				}
			}
		})
	case "unbound":
		actor.DeclareMethod[int, int](Tills, "forgotten")
		actor.Main()
	case "no main":
		sys, err := runtime.NewSystem(runtime.SystemOptions{})
		if err == nil {
			var bp runtime.EncodedRole
			bp, err = runtime.EncodeRole(Tills.With(1), runtime.Settings{}, 0)
			if err != nil {
				break
			}
			i := sys.Launch("/t", bp)
			<-i.Ready()
			err = i.StartErr()
			_ = sys.Close(context.Background())
		}
		fmt.Println(errors.Is(err, actor.ErrNoMain), err)
	}
	os.Exit(0)
}

// speakPlain calls then, if not nil, after its first answer.
func speakPlain(then func(*msgpack.Encoder)) {
	f := os.NewFile(3, "peer")
	dec, enc := msgpack.NewDecoder(f), msgpack.NewEncoder(f)
	for {
		m, err := dec.DecodeSlice()
		if err != nil {
			os.Exit(0)
		}
		if len(m) != 4 {
			continue // a notification
		}
		params := m[3].([]any)
		var failed, result any
		switch m[2] {
		case "add":
			result = asInt(params[0]) + asInt(params[1])
		case "fail":
			failed = []any{7, "no such word"}
		case "die":
			fmt.Fprintln(os.Stderr, "spelled out")
			os.Exit(3)
		default:
			failed = "unknown: " + fmt.Sprint(m[2])
		}
		if enc.Encode([]any{1, m[1], failed, result}) != nil {
			os.Exit(1)
		}
		if then != nil {
			then(enc)
		}
	}
}

// A peer that requests and does not read the answers does not fill our memory: it
// is cut off.
func TestForeignPeerThatDoesNotRead(t *testing.T) {
	inProcesses(t, func(b *bed) {
		b.start(supervisor.Child{Name: "s", Run: Spellers.With("greedy"), Restart: supervisor.Temporary})
		if x := b.events.wait(actor.EventExited, "/s").Exit; x.Reason != actor.ReasonProtocol || !strings.Contains(x.String(), "does not read") {
			b.Fatalf("%v", x)
		}
	})
}

func asInt(v any) int64 {
	var n int64
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	return n
}

func TestForeignPeer(t *testing.T) {
	inProcesses(t, func(b *bed) {
		b.start(supervisor.Child{Name: "s", Run: Spellers.With("plain")})
		r, err := Spellers.Lookup(b.tree, "s")
		b.must(err)
		check(b, 5)(SpellerAdd.Call(b.ctx, r, operands{A: 2, B: 3}))
		b.must(SpellerAdd.Cast(b.ctx, r, operands{A: 2, B: 3}))
		_, err = SpellerFail.Call(b.ctx, r, actor.None{})
		var remote *actor.RemoteError
		if !errors.As(err, &remote) || remote.Text != "no such word" {
			b.Fatalf("%#v", err)
		}
		_, err = SpellerDie.Call(b.ctx, r, actor.None{})
		if x := b.exit(err); x.Begun != actor.BegunUnknown || x.Reason != actor.ReasonExitCode || x.Code != 3 || !strings.Contains(err.Error(), "spelled out") {
			b.Fatalf("%#v", x)
		}
		check(b, 7)(SpellerAdd.Call(b.ctx, r, operands{A: 3, B: 4})) // the next one
	})
}

// Mistakes of the program are told at once, and not by a fork bomb.
func TestProgramsThatAreWrong(t *testing.T) {
	for mode, text := range map[string]string{
		"unbound": `kind "till": method "forgotten" is declared but has no binding`,
		"no main": "true start /t: " + actor.ErrNoMain.Error(),
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), foreignPeer+"="+mode, "GORACE=atexit_sleep_ms=0")
		out, _ := cmd.CombinedOutput() // one of them panics
		if !strings.Contains(string(out), text) {
			t.Errorf("%s: it said %s", mode, out)
		}
	}
}
