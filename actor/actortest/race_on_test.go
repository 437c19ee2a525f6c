//go:build race

package actortest_test

const raceEnabled = true
