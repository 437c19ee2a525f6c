//go:build !race

package process

const raceEnabled = false

const raceFactor = 1
