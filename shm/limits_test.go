package shm

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func TestBudget(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		page := os.Getpagesize()
		if before := SetBudget(int64(3 * page)); before != 0 {
			t.Errorf("budget %d by default, want none", before)
		}
		defer SetBudget(0)
		a, b := must(New[uint8](page+1)), must(NewShared[uint8](1)) // 2 pages and 1
		_, err := New[uint8](1)
		var failed *AllocError
		if !errors.Is(err, ErrBudget) || !errors.As(err, &failed) || failed.Bytes != 1 || failed.Limit != 0 {
			t.Errorf("beyond the budget: %v", err)
		}
		if got := Stats().Charged; got != int64(3*page) {
			t.Errorf("charged %d bytes, want %d", got, 3*page)
		}
		// What was sent and not begun still counts.
		m := encode(t, a)
		a.Release()
		if _, err := New[uint8](1); !errors.Is(err, ErrBudget) {
			t.Errorf("with a message under way: %v", err)
		}
		m.begun()
		must(New[uint8](2 * page)).Release()
		if _, err := New[uint8](2*page + 1); !errors.Is(err, ErrBudget) {
			t.Errorf("too large at once: %v", err)
		}
		SetBudget(1) // smaller than what is there: nothing new, the rest stays
		if _, err := New[uint8](1); !errors.Is(err, ErrBudget) || b.Data()[0] != 0 {
			t.Errorf("smaller budget: %v", err)
		}
		b.Release()
		if before := SetBudget(-5); before != 1 {
			t.Errorf("previous budget %d", before)
		}
		must(New[uint8](1)).Release()
	})
}

func TestBudgetUnderContention(t *testing.T) {
	noLeaks(t)
	SetBudget(4 * int64(os.Getpagesize()))
	defer SetBudget(0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				a, err := New[uint8](10)
				if err != nil && !errors.Is(err, ErrBudget) {
					t.Error(err)
				}
				if got := Stats().Charged; got > 4*int64(os.Getpagesize()) {
					t.Errorf("%d bytes charged", got)
				}
				a.Release()
			}
		})
	}
	wg.Wait()
}

func TestOutstanding(t *testing.T) {
	noLeaks(t)
	setStrict(t, true)
	a := must(New[uint8](100))
	b := must(NewShared[uint8](5000))
	m := encode(t, a)
	var got Array[uint8]
	m.decode(t, &got)
	a.Release()
	list := Outstanding()
	if len(list) != 2 || list[0].Handles != 1 || list[0].Retains != 1 || list[0].Shared || list[0].Size != 100 ||
		list[1].Handles != 1 || list[1].Retains != 0 || !list[1].Shared || list[1].Size != 5000 {
		t.Fatalf("%+v", list)
	}
	for _, h := range list {
		text := h.String()
		if len(h.Sites) != 1 || !strings.Contains(text, "TestOutstanding") && !strings.Contains(text, "(*message).decode") ||
			!strings.Contains(text, "_test.go:") || !strings.HasPrefix(text, map[bool]string{false: "frozen ", true: "shared "}[h.Shared]) {
			t.Errorf("the report does not say where:\n%s", text)
		}
	}
	m.begun()
	got.Release()
	SetStrict(false)
	c := must(New[uint8](1))
	for _, h := range Outstanding() {
		if h.Segment == segmentOf(c).ID() && len(h.Sites) != 0 {
			t.Errorf("a site outside strict mode: %v", h)
		}
	}
	c.Release()
	b.Release()
	if list := Outstanding(); len(list) != 0 {
		t.Errorf("%v", list)
	}
}

// Handles that came to be in one mode end well in the other.
func TestStrictSwitchedInBetween(t *testing.T) {
	for _, first := range []bool{false, true} {
		noLeaks(t)
		setStrict(t, first)
		a := must(New[uint8](10))
		a.Data()[0] = 1
		m := encode(t, a)
		var b, c Array[uint8]
		m.decode(t, &b)
		SetStrict(!first)
		m2 := encode(t, a)
		m2.decode(t, &c)
		if b.Data()[0]+c.Data()[0] != 2 {
			t.Error("unreadable")
		}
		m.begun()
		m2.begun()
		for _, x := range []Array[uint8]{a, b, c} {
			x.Release()
		}
	}
}

// Whatever the order of calls from many goroutines, the handle answers with ErrReleased or with success.
func TestConcurrentUse(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		for round := range 150 {
			a := must(New[uint32](64))
			if round%2 == 0 {
				a.Release()
				a = must(NewShared[uint32](64))
			}
			var wg sync.WaitGroup
			do := func(name string, fn func() error) {
				wg.Go(func() {
					for range 4 {
						if err := fn(); err != nil && !errors.Is(err, ErrReleased) && !errors.Is(err, ErrShared) {
							t.Errorf("%s: %v", name, err)
						}
						runtime.Gosched()
					}
				})
			}
			do("Slice", func() error { _, err := a.Slice(); return err })
			do("View", func() error { _, err := a.View(3, 9).Slice(); return err })
			do("Freeze", a.Freeze)
			do("String", func() error { sink2(a.String(), a.Frozen(), Stats(), Outstanding()); return nil })
			for range 2 {
				do("send", func() error {
					m := new(message)
					err := msgpack.NewEncoder(m).Encode(a)
					if err == nil {
						var b Array[uint32]
						if err := msgpack.NewDecoder(m).Decode(&b); err != nil {
							return fmt.Errorf("decode: %w", err)
						}
						m.begun()
						if n := len(b.Data()); n != 64 {
							return fmt.Errorf("%d elements", n)
						}
						b.Release()
					}
					m.begun()
					return err
				})
			}
			do("Release", func() error {
				if round%3 != 0 {
					a.Release()
				}
				return nil
			})
			wg.Wait()
			a.Release()
		}
	})
}

func sink2(...any) {}
