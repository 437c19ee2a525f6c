// Package python declares kinds of actors whose backend is a program in Python.
//
// The program uses the package understudy_worker (see the directory python of
// this repository), whose README begins with an example.
//
//	type filter struct{} // the tag of the kind
//
//	var (
//		Filters = python.Declare[filter, int]("filter", python.Program{Script: "filter.py"})
//		Blur    = actor.DeclareMethod[shm.Array[uint8], shm.Array[uint8]](Filters, "blur")
//	)
//
// Filters.With(3) is what a supervisor's child runs, as for any kind: limits,
// restarts, pools and streams are the same. The child's process is the
// interpreter itself.
package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/understudy-go/understudy/actor"
)

// Program is a program in Python. Script or Module is needed; the zero value of
// every other field is the default.
type Program struct {
	Script string // path of the script, seen from the supervising process
	Module string // or the name of a module, as python -m takes it

	// Interpreter is the path or name of the Python that runs it. If it is empty,
	// that is the first of: Venv's; that of a directory .venv beside the script or in
	// the working directory; python3 from the PATH. It must become Python by
	// itself, with its pid: a wrapper that starts Python as a child of its own is
	// no interpreter, because limits, kills and the connection are the wrapper's then.
	Interpreter string
	Venv        string   // directory of a virtual environment
	Flags       []string // of the interpreter, before the script
	Args        []string // of the program, in its sys.argv
	Path        []string // directories of modules, before those of PYTHONPATH
}

// Declare declares a kind whose actors run p. A is the type of its constructor's
// argument: actor.None for none, a struct that embeds actor.Args for several.
func Declare[K, A any](name string, p Program, opts ...actor.KindOptions) *actor.Kind[K, A] {
	if (p.Script == "") == (p.Module == "") {
		panic("python: kind " + name + ": give its program a Script or a Module")
	}
	return DeclareFunc[K, A](name, func() Program { return p }, opts...)
}

// DeclareFunc is Declare for a program that is known later than its kind, from
// flags or a configuration: p is called for each incarnation.
func DeclareFunc[K, A any](name string, p func() Program, opts ...actor.KindOptions) *actor.Kind[K, A] {
	k := actor.Declare[K, A](name, opts...)
	actor.External(k, func(A) *exec.Cmd { return p().command() })
	return k
}

// command returns what runs the program. What it prints comes out line by line,
// and a fault in native code prints where Python was.
func (p Program) command() *exec.Cmd {
	args := append([]string{}, p.Flags...)
	if p.Module != "" {
		args = append(args, "-m", p.Module)
	} else {
		args = append(args, absolute(p.Script))
	}
	cmd := exec.Command(p.interpreter(), append(args, p.Args...)...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "UNDERSTUDY_") && !strings.HasPrefix(e, "PYTHONPATH=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	path := p.Path
	if have := os.Getenv("PYTHONPATH"); have != "" {
		path = append(path[:len(path):len(path)], have)
	}
	if len(path) > 0 {
		cmd.Env = append(cmd.Env, "PYTHONPATH="+strings.Join(path, string(filepath.ListSeparator)))
	}
	cmd.Env = append(cmd.Env, "PYTHONUNBUFFERED=1", "PYTHONFAULTHANDLER=1")
	return cmd
}

func (p Program) interpreter() string {
	if p.Interpreter != "" {
		return p.Interpreter
	}
	if p.Venv != "" {
		return absolute(filepath.Join(p.Venv, "bin", "python"))
	}
	beside := []string{".venv"}
	if p.Script != "" {
		beside = []string{filepath.Join(filepath.Dir(p.Script), ".venv"), ".venv"}
	}
	for _, dir := range beside {
		python := filepath.Join(dir, "bin", "python")
		if _, err := os.Stat(python); err == nil {
			return absolute(python)
		}
	}
	return "python3"
}

// absolute is path seen from here: the process may get another working directory.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
