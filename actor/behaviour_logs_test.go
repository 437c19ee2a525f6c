package actor_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// chronicler logs wherever an actor's code can run.
type chronicler struct{ ran chan struct{} }

func newChronicler(ctx context.Context, _ actor.None) (*chronicler, error) {
	actor.Logger(ctx).Info("in the constructor")
	return &chronicler{make(chan struct{})}, nil
}

func (c *chronicler) Run(ctx context.Context) error {
	actor.Logger(ctx).Info("in Run")
	close(c.ran)
	<-ctx.Done()
	return nil
}

func (c *chronicler) Stop(ctx context.Context) error {
	actor.Logger(ctx).Info("in Stop")
	return nil
}

func (c *chronicler) Stream(ctx context.Context, _ actor.None) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		actor.Logger(ctx).Info("in the stream")
		yield(0, nil)
	}
}

// temperature is a value that says itself how it is logged.
type temperature float64

func (t temperature) LogValue() slog.Value { return slog.Float64Value(float64(t)) }

// Write logs one of everything.
func (c *chronicler) Write(ctx context.Context, _ actor.None) (actor.None, error) {
	l := actor.Logger(ctx)
	l.Debug("a detail")
	l.Log(ctx, slog.LevelInfo+2, "between two levels", "n", -1, "u", uint64(1), "f", 0.5, "b", true, "s", "text", "none", nil)
	l.Warn("values", "d", time.Minute, "t", time.Unix(1e9, 5).UTC(), "err", errors.New("an error"), "struct", struct{ A, B int }{1, 2}, "valuer", temperature(36.5))
	g := l.With("before", 1).WithGroup("outer").With("x", 1, slog.Group("within", "y", 2)).WithGroup("inner")
	g.Error("groups", "z", 3, slog.Group("", "inlined", 4), slog.Group("empty"))
	g.Error("groups again") // of which one has nothing in it now
	if l != actor.Logger(ctx) {
		return actor.None{}, errors.New("it is not the same logger each time")
	}
	<-c.ran
	return actor.None{}, nil
}

var (
	Chroniclers    = actor.Define("chronicler", newChronicler)
	ChronicleAll   = actor.DefineMethod(Chroniclers, "write", (*chronicler).Write)
	ChronicleLevel = actor.DefineMethod(Chroniclers, "level", (*chronicler).Level)
	ChronicleMore  = actor.DefineStream(Chroniclers, "stream", (*chronicler).Stream)
)

// logLines are the records of a system as lines of JSON, without the system's
// own and the time.
type logLines struct {
	b     *bed
	lines chan string
}

func newLogLines(b *bed, level slog.Level) (*logLines, *slog.Logger) {
	l := &logLines{b, make(chan string, 1000)}
	return l, slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			if a.Value.Time().IsZero() {
				return slog.String("time", "none")
			}
			return slog.Attr{}
		}
		return a
	}}))
}

func (l *logLines) Write(p []byte) (int, error) {
	if !strings.Contains(string(p), `"msg":"actor `) {
		l.lines <- strings.TrimSpace(string(p))
	}
	return len(p), nil
}

// expect fails the test unless these are the next lines, in any order.
func (l *logLines) expect(want ...string) {
	l.b.Helper()
	var got []string
	for range want {
		select {
		case line := <-l.lines:
			got = append(got, line)
		case <-l.b.ctx.Done():
			l.b.Fatalf("no further line in the log; there were\n%s", strings.Join(got, "\n"))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		l.b.Fatalf("the log has\n%s\nwant\n%s", g, w)
	}
}

// nothing fails the test if there is a line that nobody asked for.
func (l *logLines) nothing() {
	l.b.Helper()
	select {
	case line := <-l.lines:
		l.b.Fatalf("the log has %s, want nothing", line)
	default:
	}
}

// An actor's log is the same in both modes: every attribute, level and group,
// from every place where its code can run, with its path and the right pid.
func TestLogger(t *testing.T) {
	everywhere(t, func(b *bed) {
		log, logger := newLogLines(b, slog.LevelInfo)
		b.startSpec(supervisor.Spec{Children: []supervisor.Child{{Name: "c", Run: Chroniclers.With(actor.None{})}}}, supervisor.Options{Logger: logger})
		c, err := Chroniclers.Lookup(b.tree, "c")
		b.must(err)
		check(b, actor.None{})(ChronicleAll.Call(b.ctx, c, actor.None{}))
		check(b, 1)(drink(b, ChronicleMore.Open(b.ctx, c, actor.None{})))
		pid := os.Getpid()
		if b.process {
			pid = b.pid("c")
		}
		line := func(level, msg, attrs string) string {
			return fmt.Sprintf(`{"level":"%s","msg":"%s","path":"/c","pid":%d%s}`, level, msg, pid, attrs)
		}
		log.expect(
			line("INFO", "in the constructor", ""),
			line("INFO", "in Run", ""),
			line("INFO", "in the stream", ""),
			line("INFO+2", "between two levels", `,"n":-1,"u":1,"f":0.5,"b":true,"s":"text","none":null`),
			line("WARN", "values", `,"d":60000000000,"t":"2001-09-09T01:46:40.000000005Z","err":"an error","struct":"{1 2}","valuer":36.5`),
			line("ERROR", "groups", `,"before":1,"outer":{"x":1,"within":{"y":2},"inner":{"z":3,"inlined":4}}`),
			line("ERROR", "groups again", `,"before":1,"outer":{"x":1,"within":{"y":2}}`),
		)
		b.must(b.tree.StopChild(b.ctx, "c"))
		log.expect(line("INFO", "in Stop", ""))
		log.nothing()
		if actor.Logger(b.ctx) != slog.Default() {
			b.Error("outside of an actor it is not the default logger")
		}
	})
}

// tower is an actor with one of its kind in it, which has one in it, and so on.
// The innermost logs, and prints if it is a process.
type tower struct {
	Floors int
	Attic  bool // the innermost is a goroutine
}

func newTower(ctx context.Context, t tower) (*tower, error) {
	if t.Floors > 1 {
		up := supervisor.Child{Name: "up", Run: Towers.With(tower{t.Floors - 1, t.Attic})}
		if t.Floors == 2 && t.Attic {
			up.InProcess = true
		}
		_, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{up}})
		return &t, err
	}
	actor.Logger(ctx).Info("logged")
	if !t.Attic {
		slog.Info("logged by default")
		fmt.Println("printed")
		fmt.Fprintln(os.Stderr, "complained")
	}
	return &t, nil
}

func (*tower) PID(context.Context, actor.None) (int, error) { return os.Getpid(), nil }

var (
	Towers   *actor.Kind[tower, tower]
	TowerPID *actor.Method[tower, actor.None, int]
)

func init() {
	Towers = actor.Define("tower", newTower)
	TowerPID = actor.DefineMethod(Towers, "pid", (*tower).PID)
}

// What comes from far below bears the name of whoever made it, and once,
// however many processes pass it on.
func TestLogsFromBelow(t *testing.T) {
	inProcesses(t, func(b *bed) {
		for _, attic := range []bool{false, true} {
			log, logger := newLogLines(b, slog.LevelInfo)
			b.startSpec(supervisor.Spec{Children: []supervisor.Child{{Name: "t", Run: Towers.With(tower{3, attic})}}}, supervisor.Options{Logger: logger})
			top, err := Towers.Lookup(b.tree, "t/up/up")
			b.must(err)
			pid, err := TowerPID.Call(b.ctx, top, actor.None{})
			b.must(err)
			line := func(msg, attrs string) string {
				return fmt.Sprintf(`{"level":"INFO","msg":"%s","path":"/t/up/up","pid":%d%s}`, msg, pid, attrs)
			}
			want := []string{line("logged", "")}
			if !attic {
				want = append(want, line("logged by default", ""), line("printed", `,"stream":"stdout"`), line("complained", `,"stream":"stderr"`))
			}
			log.expect(want...)
			log.nothing()
		}
	})
}

// A system that wants less is not sent it.
func TestLogLevel(t *testing.T) {
	everywhere(t, func(b *bed) {
		log, logger := newLogLines(b, slog.LevelInfo+3)
		b.startSpec(supervisor.Spec{Children: []supervisor.Child{{Name: "c", Run: Chroniclers.With(actor.None{})}}}, supervisor.Options{Logger: logger})
		c, err := Chroniclers.Lookup(b.tree, "c")
		b.must(err)
		check(b, 3)(ChronicleLevel.Call(b.ctx, c, actor.None{}))
		log.nothing()
	})
}

// Level is the lowest that the chronicler would be heard at.
func (c *chronicler) Level(ctx context.Context, _ actor.None) (int, error) {
	level := slog.LevelDebug
	for !actor.Logger(ctx).Enabled(ctx, level) {
		level++
	}
	return int(level), nil
}
