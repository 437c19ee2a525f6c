package main

import (
	"fmt"
	"math"
	"strconv"
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
		return scaled(v, 1000, "ns", "us", "ms", "s")
	case perSecond:
		return scaled(v, 1000, "/s", "k/s", "M/s")
	case bytes:
		return scaled(v, 1024, "B", "KiB", "MiB", "GiB")
	case percent:
		return digits(v) + " %"
	}
	return digits(v)
}

func scaled(v, base float64, units ...string) string {
	i := 0
	for ; math.Abs(v) >= base*0.9995 && i+1 < len(units); i++ {
		v /= base
	}
	return digits(v) + " " + units[i]
}

// digits writes v with three digits that count, as far as there are any behind
// the point.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
