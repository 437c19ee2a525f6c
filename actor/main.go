package actor

import (
	"fmt"
	"os"

	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/shm"
)

// Main must be the first line of main: actors are processes, made by executing
// the program again. In such a child Main runs the actor and never returns; in
// the program itself it returns at once. It panics if a kind's backend lacks a
// method that its frontend declares.
//
// Package initialization of everything the program imports runs in each child
// before Main does: keep it cheap, and start nothing there, or see [InChild].
func Main() {
	if r := port.Installed(); r != nil {
		r.Main()
		return
	}
	if err := port.Unbound(); err != nil {
		panic("actor.Main: " + err.Error())
	}
	if _, isActor := os.LookupEnv(port.EnvActor); isActor {
		panic("actor.Main: this process was started as an actor, and the program does not link what runs one: import package supervisor")
	}
}

// inChild is what InChild returns: Main takes the entries away.
var inChild = func() bool {
	_, isActor := os.LookupEnv(port.EnvActor)
	_, isSweeper := os.LookupEnv(port.EnvSweeper)
	return isActor || isSweeper
}()

// InChild reports whether this process is an actor's, or another one that the
// library has made of the program: not the program that the user started. It is
// for init functions, and initializers of package variables, that open ports,
// write files or print, which only the program itself should do.
func InChild() bool { return inChild }

// TestMain is Main for a package's tests: func TestMain(m *testing.M) {
// actor.TestMain(m) }. It runs the tests with strict checks of released arrays
// and exits. Where the tests are built with -race, a data race in any actor's
// process fails them: its report is printed at the end, and the exit code is 66,
// the race detector's own.
//
// m is a *testing.M, or what wraps one to do more around its Run.
func TestMain(m interface{ Run() int }) {
	Main()
	shm.SetStrict(true)
	code := m.Run()
	if r := port.Installed(); r != nil {
		for _, race := range r.Races() {
			fmt.Fprintln(os.Stderr, race)
			if code == 0 {
				code = exitCodeOfRace
			}
		}
	}
	os.Exit(code)
}

// exitCodeOfRace is the race detector's.
const exitCodeOfRace = 66
