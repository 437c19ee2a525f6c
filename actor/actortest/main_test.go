package actortest_test

import (
	"testing"

	"github.com/understudy-go/understudy/actor"
)

func TestMain(m *testing.M) { actor.TestMain(withGoleak{m}) }
