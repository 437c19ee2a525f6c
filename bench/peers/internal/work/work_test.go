package work

import "testing"

func TestChangeIsChecked(t *testing.T) {
	n := Request(7)
	if err := Check(7, Change(n)); err != nil {
		t.Error(err)
	}
	for _, wrong := range []Note{n, {n.N + 1, n.S}, {n.N, pong}, Change(Change(n)), {}} {
		if Check(7, wrong) == nil {
			t.Errorf("%v passes as a reply to %v", wrong, n)
		}
	}
}

func TestRawDoesTheSame(t *testing.T) {
	b := make([]byte, RawSize)
	PutRaw(b, Request(7))
	if CheckRaw(7, b) == nil {
		t.Error("a request passes as a reply")
	}
	ChangeRaw(b)
	if err := CheckRaw(7, b); err != nil {
		t.Error(err)
	}
	ChangeRaw(b)
	if CheckRaw(7, b) == nil || CheckRaw(8, b) == nil {
		t.Error("a reply to another request passes")
	}
}

func TestCodec(t *testing.T) {
	c := NewCodec()
	for i := range 3 { // it is used again and again
		b, err := c.Encode(Request(i))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Decode(b); got != Request(i) || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
}
