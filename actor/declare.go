package actor

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/understudy-go/understudy/internal/codec"
)

// mustTravel panics, where a type is declared, about one whose values cannot
// travel: what it says is true before the first call.
func mustTravel[T any](format string, args ...any) {
	if err := codec.CheckType(reflect.TypeFor[T]()); err != nil {
		panic(fmt.Sprintf("actor: "+format+": %v", append(args, err)...))
	}
}

// sentinel is an error that a kind declares, under its name on the wire.
type sentinel struct {
	name string
	err  error
}

// addSentinels returns all with those of a kind. Two of the same name could not
// be told apart.
func addSentinels(all []sentinel, kind string, errs []error) ([]sentinel, error) {
	all = slices.Clip(all)
	for _, err := range errs {
		if err == nil {
			return nil, fmt.Errorf("kind %q: a sentinel is nil", kind)
		}
		name := kind + "=" + err.Error()
		i := slices.IndexFunc(all, func(s sentinel) bool { return s.name == name })
		switch {
		case i < 0:
			all = append(all, sentinel{name, err})
		case !errors.Is(err, all[i].err):
			return nil, fmt.Errorf("kind %q: two of its sentinels have the text %q, by which the other side knows them: give each its own", kind, err.Error())
		}
	}
	return all, nil
}

// allSentinels are those of every kind of the program.
func allSentinels() []sentinel {
	registry.Lock()
	defer registry.Unlock()
	return registry.sentinels
}
