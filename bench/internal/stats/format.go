package stats

import (
	"fmt"
	"math"
)

// Scaled writes v with the largest of the units, each base times as large as the
// one before it, of which it is at least one.
func Scaled(v, base float64, units ...string) string {
	i := 0
	for ; math.Abs(v) >= base*0.9995 && i+1 < len(units); i++ {
		v /= base
	}
	return Digits(v) + " " + units[i]
}

// Digits writes v with three digits that count, as far as there are any behind
// the point.
func Digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
