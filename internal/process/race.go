//go:build race

package process

// raceEnabled says that this image reserves terabytes of shadow memory, which RLIMIT_DATA would count.
const raceEnabled = true
