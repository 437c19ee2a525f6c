package actor_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
)

// A shouter is another executable, in any language, which is given the volume
// in its environment. Here it is this one, started as EXAMPLE_SHOUTER.
type shouter struct{}

var (
	shouters = actor.Declare[shouter, int]("shouter")
	shout    = actor.DeclareMethod[string, string](shouters, "shout")
)

func init() {
	actor.External(shouters, func(volume int) *exec.Cmd {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), fmt.Sprint("EXAMPLE_SHOUTER=", volume))
		return cmd
	})
	if os.Getenv("EXAMPLE_SHOUTER") == "3" {
		serveShouter()
	}
}

// serveShouter speaks MessagePack-RPC on descriptor 3. The control requests of
// the library ("$/hello") are answered with an error: it speaks no more than that.
func serveShouter() {
	socket := os.NewFile(3, "socket")
	dec, enc := msgpack.NewDecoder(socket), msgpack.NewEncoder(socket)
	for {
		m, err := dec.DecodeSlice() // [0, id, method, params]
		if err != nil {
			os.Exit(0) // the supervisor has closed the connection
		}
		if method := m[2].(string); method == "shout" {
			text := m[3].([]any)[0].(string)
			enc.Encode([]any{1, m[1], nil, strings.ToUpper(text) + "!!!"})
		} else {
			enc.Encode([]any{1, m[1], method + " is unknown", nil})
		}
	}
}

// An actor that is another executable.
func ExampleExternal() {
	ctx := context.Background()
	tree := run(ctx, shouters.With(3))
	defer tree.Stop(ctx)
	fmt.Println(shout.Call(ctx, shouters.Ref(tree, "it"), "hello"))
	// Output: HELLO!!! <nil>
}
