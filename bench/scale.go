package main

import "time"

// scale is how much is done for one reading.
type scale struct {
	quick    bool
	rounds   int           // unless the command line says otherwise
	budget   time.Duration // of a latency, for us and for the floor alike
	rates    time.Duration // of calls at once
	casts    int
	messages int // whose cost is counted
	naps     int
	spawns   int
	idle     int           // actors
	window   time.Duration // of idleness
	maximum  int           // bytes of the largest array
}

var (
	full = scale{
		rounds:   7,
		budget:   200 * time.Millisecond,
		rates:    60 * time.Millisecond,
		casts:    50_000,
		messages: 10_000,
		naps:     20,
		spawns:   10,
		idle:     200,
		window:   time.Second,
		maximum:  1 << 30,
	}
	short = scale{
		quick:    true,
		rounds:   5,
		budget:   10 * time.Millisecond,
		rates:    20 * time.Millisecond,
		casts:    2_000,
		messages: 1_000,
		naps:     3,
		spawns:   2,
		idle:     20,
		window:   100 * time.Millisecond,
		maximum:  16 << 20,
	}
)
