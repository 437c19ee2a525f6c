// Package internal_test checks the shape of the module: who imports whom, and
// how much each package exports.
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/understudy-go/understudy/"

// row is one package of the module and the packages of the module that it may
// import, tests aside.
type row struct {
	pkg     string
	imports string // separated by blanks
	reason  string // where it is not obvious
}

// table has the packages from the top downwards: each imports packages of later
// rows only.
var table = []row{
	// Programs.
	{"examples/thumbnailer", "actor shm supervisor", ""},
	{"examples/calculation", "actor shm supervisor", ""},
	{"examples/crash", "actor supervisor", ""},
	{"examples/crashy", "actor supervisor", ""},
	{"examples/crashy/load", "", ""},
	{"examples/handler", "actor supervisor", ""},
	{"examples/python", "actor actor/python shm supervisor", ""},
	{"examples/pingpong", "actor supervisor", ""},
	{"examples/internal/program", "actor", "it stops a program by signal: the logger is all that it wants"},
	{"bench", "actor bench/internal/machine bench/internal/ring bench/internal/stats internal/codec internal/memfd internal/process internal/wire shm supervisor",
		"the floors are measured with the parts that the figures stand on"},
	{"bench/internal/machine", "", ""},
	{"bench/internal/ring", "", "a floor owes nothing to what is measured against it"},
	{"bench/internal/stats", "", ""},

	// Tests alone: no package imports them but in its own tests.
	{"internal/chaos", "", ""},
	{"internal/e2e", "", ""},

	// What sits on supervision.
	{"supervisor/observe", "actor internal/runtime supervisor", ""},
	{"actor/python", "actor", ""},
	{"actor/actortest", "actor internal/leaktest internal/port supervisor", "port: it asks the runtime for data races"},
	{"actor/isolate", "actor internal/port supervisor", "port: a worker starts in the initializer of its function"},

	// Who lives.
	{"supervisor", "actor internal/codec internal/orphans internal/port internal/process internal/runtime internal/seal internal/wire",
		"orphans: the subreaper that only a root can ask for; codec, wire and process: snapshots and orders travel, and say what each process uses"},

	// One process's part of a system. It makes the values that actor declares.
	{"internal/runtime", "actor internal/cgroup internal/codec internal/conn internal/orphans internal/port internal/process internal/seal internal/segment internal/sys internal/wire mailbox shm transport",
		"the one place where all parts meet"},

	// What users write. It knows the runtime by the interfaces of port only.
	{"actor", "internal/cgroup internal/codec internal/conn internal/port internal/seal internal/segment internal/wire shm",
		"cgroup, conn and wire: sentinel errors and limits"},
	{"internal/port", "internal/codec internal/conn internal/wire", "the interfaces between actor and runtime name what travels"},

	// Messages, from where they wait down to the bytes.
	{"mailbox", "internal/conn internal/memfd internal/segment internal/wire", "memfd: the progress page"},
	{"internal/conn", "internal/codec internal/segment internal/wire transport", ""},
	{"internal/codec", "internal/segment internal/wire", "arrays travel by reference"},
	{"shm", "internal/segment", ""},
	{"internal/segment", "internal/memfd internal/sys", ""},
	{"internal/wire", "", ""},
	{"transport", "internal/memfd internal/sys", ""},

	// Linux.
	{"internal/orphans", "internal/cgroup internal/process internal/sys", "the sweeper is started as every process is"},
	{"internal/process", "internal/cgroup internal/memfd internal/sys", "memfd: the file for the crash text"},
	{"internal/memfd", "internal/cgroup internal/sys", "cgroup: how much memory there is room for"},
	{"internal/cgroup", "internal/sys", ""},
	{"internal/sys", "", ""},
	{"internal/seal", "", ""},
	{"internal/leaktest", "", "it is for the tests of all packages, so it imports none"},
}

// pkg is what the go command knows of a package.
type pkg struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
	Standard                bool
}

// packages are this module's, by their path in it; nested modules are not among
// them.
func packages(t *testing.T, args ...string) (own []pkg, exports map[string]string) {
	t.Helper()
	cmd := exec.Command("go", append(append([]string{"list", "-json=ImportPath,Dir,Export,GoFiles,Imports,Standard"}, args...), module+"...")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	exports = make(map[string]string)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
		if name, ok := strings.CutPrefix(p.ImportPath, module); ok && name != "internal" { // this file's own
			p.ImportPath = name
			own = append(own, p)
		}
	}
	if len(own) < 20 {
		t.Fatalf("go list names %d packages only", len(own))
	}
	return own, exports
}

func TestImports(t *testing.T) {
	own, _ := packages(t)
	for _, problem := range checkImports(table, own) {
		t.Error(problem)
	}
}

// checkImports compares the table with the packages.
func checkImports(table []row, own []pkg) (problems []string) {
	problem := func(words ...string) { problems = append(problems, strings.Join(words, " ")) }
	place := make(map[string]int)
	for i, r := range table {
		if _, twice := place[r.pkg]; twice {
			problem(r.pkg, "has two rows")
		}
		place[r.pkg] = i
	}
	seen := make(map[string]bool)
	for _, p := range own {
		i, ok := place[p.ImportPath]
		if !ok {
			problem(p.ImportPath, "has no row")
			continue
		}
		seen[p.ImportPath] = true
		allowed := strings.Fields(table[i].imports)
		var used []string
		for _, path := range p.Imports {
			name, ok := strings.CutPrefix(path, module)
			if !ok {
				continue
			}
			used = append(used, name)
			if !slices.Contains(allowed, name) {
				problem(p.ImportPath, "must not import", name)
			} else if below, ok := place[name]; ok && below <= i {
				problem(p.ImportPath, "stands below", name, "and may import it")
			}
		}
		for _, name := range allowed {
			if !slices.Contains(used, name) {
				problem(p.ImportPath, "may import", name, "and does not")
			}
		}
	}
	for _, r := range table {
		if !seen[r.pkg] {
			problem(r.pkg, "has a row and no package")
		}
	}
	return problems
}

// The check finds each fault that it is there for.
func TestImportsCheckFindsFaults(t *testing.T) {
	own := []pkg{
		{ImportPath: "up", Imports: []string{"fmt", module + "down"}},
		{ImportPath: "down"},
	}
	for _, c := range []struct {
		name  string
		table []row
		want  string
	}{
		{"right", []row{{"up", "down", ""}, {"down", "", ""}}, ""},
		{"not allowed", []row{{"up", "", ""}, {"down", "", ""}}, "up must not import down"},
		{"no row", []row{{"up", "down", ""}}, "down has no row"},
		{"unused", []row{{"up", "down", ""}, {"down", "under", ""}}, "down may import under and does not"},
		{"upwards", []row{{"down", "", ""}, {"up", "down", ""}}, "up stands below down and may import it"},
		{"no package", []row{{"up", "down", ""}, {"down", "", ""}, {"gone", "", ""}}, "gone has a row and no package"},
		{"two rows", []row{{"up", "down", ""}, {"down", "", ""}, {"down", "", ""}}, "down has two rows"},
	} {
		if got := strings.Join(checkImports(c.table, own), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
