package supervisor

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals are those that Run answers for the system.
type signals struct {
	interrupt chan os.Signal // SIGINT: apart, because the second one ends the process
	end       chan os.Signal // SIGTERM and SIGHUP. They come twice: timeout(1) and systemd's SendSIGHUP= send them so
	hangup    chan os.Signal // SIGHUP, if it reloads
}

func answerSignals(reload bool) *signals {
	s := &signals{interrupt: make(chan os.Signal, 1), end: make(chan os.Signal, 1), hangup: make(chan os.Signal, 1)}
	listen := func(to chan os.Signal, sig os.Signal) {
		if !signal.Ignored(sig) {
			signal.Notify(to, sig)
		}
	}
	listen(s.interrupt, os.Interrupt)
	listen(s.end, syscall.SIGTERM)
	if reload {
		listen(s.hangup, syscall.SIGHUP)
	} else {
		listen(s.end, syscall.SIGHUP)
	}
	return s
}

// stopOn calls stop at the first signal to end, unless ctx has ended before.
func (s *signals) stopOn(ctx context.Context, stop func()) {
	select {
	case <-s.interrupt:
	case <-s.end:
	case <-ctx.Done():
	}
	signal.Stop(s.interrupt)
	stop()
}

// reloadOn calls reload for each SIGHUP until ctx ends, one call at a time. Those
// that come during a call are followed by one.
func (s *signals) reloadOn(ctx context.Context, reload func(context.Context)) {
	for {
		select {
		case <-s.hangup:
			reload(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (s *signals) close() {
	signal.Stop(s.interrupt)
	signal.Stop(s.end)
	signal.Stop(s.hangup)
}
