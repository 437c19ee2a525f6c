package leaktest

import (
	"runtime"
	"strings"
)

// permanent are goroutines that start once per process and stay, by design.
var permanent = []string{
	"os/signal.loop(",
	"os/signal.signal_recv(",
	"runtime.ensureSigM",
}

func (s snapshot) takeGoroutines() {
	for _, stack := range stacks() {
		header, _, _ := strings.Cut(stack, " [")
		if !isPermanent(stack) {
			s.add(kindGoroutine, header, 1, indent(stack))
		}
	}
}

func isPermanent(stack string) bool {
	for _, p := range permanent {
		if strings.Contains(stack, p) {
			return true
		}
	}
	return false
}

// stacks returns the stack of every goroutine but the calling one, which comes first.
func stacks() []string {
	for size := 64 << 10; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return strings.Split(strings.TrimSpace(string(buf[:n])), "\n\n")[1:]
		}
	}
}

func indent(s string) string { return strings.ReplaceAll(s, "\n", "\n      ") }
