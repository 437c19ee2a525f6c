package runtime

import (
	"slices"
	"sync"

	"github.com/understudy-go/understudy/internal/port"
)

// races are those of all systems whose root is this process.
var races raceList

type raceList struct {
	mu    sync.Mutex
	races []port.Race
}

// maxRaces bounds how many are kept: one is enough to fail a test.
const maxRaces = 64

func (l *raceList) add(r port.Race) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.races) < maxRaces {
		l.races = append(l.races, r)
	}
}

// Races implements [port.Runtime].
func (thisProcess) Races() []port.Race {
	races.mu.Lock()
	defer races.mu.Unlock()
	return slices.Clone(races.races)
}
