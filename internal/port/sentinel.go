package port

import (
	"errors"
	"fmt"
	"slices"
)

// Sentinel is an error that a kind declares, under its name on the wire.
type Sentinel struct {
	Name string
	Err  error
}

// Sentinels are those of every kind of the program. An error may wrap what
// another kind declares, because actors pass on what other actors answer.
func Sentinels() []Sentinel {
	registry.Lock()
	defer registry.Unlock()
	return registry.sentinels
}

// addSentinels returns all with those of k. Two of the same name could not be
// told apart.
func addSentinels(all []Sentinel, k *Kind) ([]Sentinel, error) {
	all = slices.Clip(all)
	for _, err := range k.Sentinels {
		if err == nil {
			return nil, fmt.Errorf("kind %q: an error that it declares is nil", k.Name)
		}
		name := k.Name + "=" + err.Error()
		i := slices.IndexFunc(all, func(s Sentinel) bool { return s.Name == name })
		switch {
		case i < 0:
			all = append(all, Sentinel{name, err})
		case !errors.Is(err, all[i].Err):
			return nil, fmt.Errorf("kind %q: two of the errors that it declares have the text %q, by which the other side knows them: give each its own", k.Name, err.Error())
		}
	}
	return all, nil
}
