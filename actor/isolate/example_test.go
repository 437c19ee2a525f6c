package isolate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/isolate"
)

// The function belongs in a package variable. It stands for native code.
var words = isolate.Func("words", func(_ context.Context, text string) (int, error) {
	if strings.Contains(text, "\x00") {
		fmt.Fprintln(os.Stderr, "words: invalid byte")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return len(strings.Fields(text)), nil
}, isolate.Options{Workers: 2})

func ExampleFunc() {
	// In a program, isolate.Main() is the first line of main.
	ctx := context.Background()
	defer isolate.Close(ctx)

	fmt.Println(words.Call(ctx, "one two three"))

	_, err := words.Call(ctx, "one\x00two") // it takes its worker with it
	var exit *actor.ExitError
	if errors.As(err, &exit) {
		fmt.Println(exit.Signal, exit.Begun, exit.Stderr)
	}

	fmt.Println(words.Call(ctx, "four five")) // on another one
	// Output:
	// 3 <nil>
	// killed yes [words: invalid byte]
	// 2 <nil>
}
