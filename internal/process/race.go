//go:build race

package process

// raceEnabled says that this image reserves terabytes of shadow memory, which RLIMIT_DATA would count.
const raceEnabled = true

// raceFactor is how much more memory of its own a program of this image has for the same heap: its shadow and its history
// ("memory usage may increase by 5-10x", go.dev/doc/articles/race_detector).
const raceFactor = 8
