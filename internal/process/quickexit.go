package process

import "strings"

// WithQuickExit returns env for a child that is this program. Under the race detector a program waits a second before
// it exits (atexit_sleep_ms, the detector's runtime flags), which would add a second to every stop; entries of the
// user's own keep their say.
func WithQuickExit(env []string) []string {
	if !raceEnabled {
		return env
	}
	for i, e := range env {
		if flags, ok := strings.CutPrefix(e, "GORACE="); ok {
			if !strings.Contains(flags, "atexit_sleep_ms") {
				env[i] = e + " atexit_sleep_ms=0"
			}
			return env
		}
	}
	return append(env, "GORACE=atexit_sleep_ms=0")
}
