package actor

import (
	"fmt"
	"reflect"

	"github.com/understudy-go/understudy/internal/codec"
)

// mustTravel panics, where a type is declared, about one whose values cannot
// travel: what it says is true before the first call.
func mustTravel[T any](format string, args ...any) {
	if err := codec.CheckType(reflect.TypeFor[T]()); err != nil {
		panic(fmt.Sprintf("actor: "+format+": %v", append(args, err)...))
	}
}
