package main

import (
	"math"
	"strconv"

	"github.com/understudy-go/understudy/bench/internal/stats"
)

// sizeName is a size as a part of a row's name: 16B, 4KiB, 1GiB.
func sizeName(n int) string { return sizeIn(n, "") }

// sizeText is a size for people: 16 B, 4 KiB, 1 GiB.
func sizeText(n int) string { return sizeIn(n, " ") }

func sizeIn(n int, space string) string {
	units := []string{"B", "KiB", "MiB", "GiB"}
	i := 0
	for ; n >= 1<<10 && n%(1<<10) == 0 && i+1 < len(units); i++ {
		n >>= 10
	}
	return strconv.Itoa(n) + space + units[i]
}

// text writes a value with three digits that count and a unit that fits.
func (u unit) text(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	switch u {
	case nanoseconds:
		return stats.Scaled(v, 1000, "ns", "us", "ms", "s")
	case perSecond:
		return stats.Scaled(v, 1000, "/s", "k/s", "M/s")
	case bytes:
		return stats.Scaled(v, 1024, "B", "KiB", "MiB", "GiB")
	case percent:
		return stats.Digits(v) + " %"
	case seconds:
		return stats.Digits(v) + " s"
	}
	return stats.Digits(v)
}
