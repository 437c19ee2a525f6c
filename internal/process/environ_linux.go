package process

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/understudy-go/understudy/internal/cgroup"
)

// environ is the child's environment, ours first: the first of two equal names is the one that counts.
//
// Limits beat what is only inherited: an entry that is our own, too, was meant for us. (The collector of a child with
// 64 MiB is not to wait for our GOMEMLIMIT of 8 GiB.) An entry that says something else was meant for this child, and
// stands.
func (cmd *Command) environ(crashNumber int) []string {
	base := cmd.Env
	if base == nil {
		base = os.Environ()
	}
	var ours []string
	if crashNumber > 0 {
		ours = append(ours, envCrash+"="+strconv.Itoa(crashNumber))
	}
	if cmd.Path == "" && !cmd.Detached {
		ours = append(ours, envProgram+"="+programName)
	}
	set := cmd.imposed()
	env := make([]string, 0, len(base)+len(ours)+len(set)+2)
	env = append(env, ours...)
	coverage, done := false, make(map[string]bool)
	for _, e := range base {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case envCrash, envProgram, cgroup.Env:
			continue // of another child: it would write its last words into a stranger's descriptor
		case "GOCOVERDIR":
			coverage = true
		}
		if imposed, ok := set[name]; ok && !done[name] {
			done[name] = true
			if own, found := os.LookupEnv(name); found && own == value {
				if imposed != "" {
					env = append(env, name+"="+imposed)
				}
				continue
			}
		} else if ok && done[name] {
			continue // the first counts
		}
		env = append(env, e)
	}
	for name, imposed := range set {
		if !done[name] && imposed != "" && name != "PWD" {
			env = append(env, name+"="+imposed)
		}
	}
	if cmd.Path != "" {
		return env
	}
	if cmd.Cgroups != nil {
		env = append(env, cmd.Cgroups.Environ())
	}
	if dir, ok := os.LookupEnv("GOCOVERDIR"); ok && !coverage {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

// imposed are the entries that take the place of inherited ones; "" takes an inherited one away.
func (cmd *Command) imposed() map[string]string {
	set := make(map[string]string)
	if cmd.Dir != "" {
		set["PWD"] = cmd.Dir
		if absolute, err := filepath.Abs(cmd.Dir); err == nil {
			set["PWD"] = absolute
		}
	}
	if cmd.Limits.Memory > 0 {
		set["GOMEMLIMIT"] = goMemoryLimit(cmd.Limits.Memory)
	}
	if cmd.Limits.CPUs > 0 {
		set["GOMAXPROCS"] = "" // a Go child counts the processors that it may use
	}
	if cmd.Path == "" && cmd.Cgroups.Quota() { // which it could not see in its own group
		n := runtime.GOMAXPROCS(0)
		if cmd.Limits.CPUs > 0 {
			n = min(n, cmd.Limits.CPUs)
		}
		set["GOMAXPROCS"] = strconv.Itoa(n)
	}
	return set
}
