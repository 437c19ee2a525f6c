package isolate

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// inPackageVariable reports whether Func's caller is the initialization of a
// package variable, and otherwise which function it is. The Go runtime
// initializes the variables of a package in a function of the name init, and
// calls init functions under the names init.0, init.1 and so on (cmd/compile,
// pkginit).
func inPackageVariable() (function string, ok bool) {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // without Callers, this function and Func
	var caller, last string
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "runtime.doInit") {
			return caller, strings.HasSuffix(last, ".init")
		}
		if caller == "" {
			caller = f.Function
		}
		last = f.Function
		if !more {
			return caller, false
		}
	}
}

// isTest reports whether this is a test binary: go test gives its main package
// the path of the tested one with ".test" behind it (cmd/go, load.TestPackagesFor).
// Package testing could say so, too, but would become a part of each program.
var isTest = sync.OnceValue(func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && strings.HasSuffix(info.Path, ".test")
})
