package process

// rung is what Terminate does next.
type rung uint8

const (
	rungAsk    rung = iota // SIGTERM to the group
	rungWait               // for the end or for time to be up
	rungKill               // SIGKILL to the group
	rungReap               // wait for the end alone: no process survives SIGKILL
	rungFinish             // it is gone
)

// ladderState is what is known while a child is being stopped.
type ladderState struct {
	gone   bool // the child is dead and reaped
	timeUp bool // no more patience
	asked  bool // SIGTERM was sent
	killed bool // SIGKILL was sent
}

// nextRung decides; Terminate acts.
func nextRung(s ladderState) rung {
	switch {
	case s.gone:
		return rungFinish
	case s.killed:
		return rungReap
	case s.timeUp:
		return rungKill
	case !s.asked:
		return rungAsk
	}
	return rungWait
}
