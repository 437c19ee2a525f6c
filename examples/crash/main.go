package main

// #include <signal.h>
// #include <stdio.h>
// static int decode(int *frame) {
//     signal(SIGSEGV, SIG_DFL); // the kernel takes the faults of native code, not Go's runtime
//     return frame ? *frame : (fprintf(stderr, "decoder: lost the frame\n"), *frame);
// }
import "C"
import (
	"context"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

type decoder struct{} // the backend: it lives in a process of its own

func newDecoder(context.Context, actor.None) (*decoder, error)         { return new(decoder), nil }
func (*decoder) Decode(_ context.Context, frame *C.int) (C.int, error) { return C.decode(frame), nil }

var ( // the frontend: what callers use
	Decoders = actor.Define("decoder", newDecoder)
	Decode   = actor.DefineMethod(Decoders, "decode", (*decoder).Decode)
)

func main() {
	actor.Main() // the first line: in a child process it runs the actor and never returns
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "video", Run: Decoders.With(actor.None{})}}})
	if err != nil {
		panic(err)
	}
	defer tree.Stop(ctx)
	ref, frame := Decoders.Ref(tree, "video"), C.int(42) // the reference follows restarts
	fmt.Println(Decode.Call(ctx, ref, &frame))
	fmt.Println(Decode.Call(ctx, ref, nil)) // an *actor.ExitError
	fmt.Println(Decode.Call(ctx, ref, &frame))
}
