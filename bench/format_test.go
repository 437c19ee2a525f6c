package main

import (
	"math"
	"testing"
)

func TestUnitText(t *testing.T) {
	for _, c := range []struct {
		u    unit
		v    float64
		want string
	}{
		{nanoseconds, 950, "950 ns"},
		{nanoseconds, 999.9, "1.00 us"},
		{nanoseconds, 12_345, "12.3 us"},
		{nanoseconds, 4.5e6, "4.50 ms"},
		{nanoseconds, 2e12, "2000 s"},
		{perSecond, 1.25e6, "1.25 M/s"},
		{bytes, 1 << 20, "1.00 MiB"},
		{bytes, 1023, "1023 B"},
		{percent, 0.25, "0.25 %"},
		{seconds, 8.25, "8.25 s"},
		{allocs, 3, "3.00"},
		{nanoseconds, math.NaN(), "-"},
	} {
		if got := c.u.text(c.v); got != c.want {
			t.Errorf("%v %s is %q, want %q", c.v, c.u, got, c.want)
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[int]string{16: "16 B", 4 << 10: "4 KiB", 1000: "1000 B", 256 << 20: "256 MiB", 1 << 30: "1 GiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	if got := sizeName(4 << 20); got != "4MiB" {
		t.Errorf("name %q", got)
	}
}
