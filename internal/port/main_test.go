package port_test

import (
	"strings"
	"testing"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/port"
)

// This test's program does not link the runtime: Main does nothing in it, unless
// it was started as an actor. Then it says what is missing.
func TestMainWithoutRuntime(t *testing.T) {
	if port.Installed() != nil {
		t.Fatal("the runtime is linked")
	}
	actor.Main()
	t.Setenv(port.EnvActor, "a system")
	defer func() {
		text, _ := recover().(string)
		if !strings.Contains(text, "import package supervisor") {
			t.Errorf("it said %q", text)
		}
	}()
	actor.Main()
	t.Error("an actor without a runtime goes on as if it were the program")
}
