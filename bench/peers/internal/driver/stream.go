package driver

import "time"

// Streamer is a driver that can also send one way.
type Streamer struct{ *Peer }

// Stream implements harness.Streamer.
func (s Streamer) Stream(n int) (time.Duration, error) {
	took, err := s.ask(1, "stream %d\n", n)
	if err != nil {
		return 0, err
	}
	return max(1, took[0]), nil
}
