package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// fakeTree makes a directory that looks like a hierarchy: "dir/file": "content".
func fakeTree(t *testing.T, files map[string]string) (top string) {
	t.Helper()
	top = t.TempDir()
	for name, content := range files {
		file := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return top
}

func fileOf(t *testing.T, name ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(name...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestParseHierarchy(t *testing.T) {
	const (
		v1      = "30 23 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
		unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		hybrid  = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		bound   = "50 40 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
		blank   = "51 40 0:26 / /mnt/a\\040b\\134c rw - cgroup2 none rw\n"
	)
	for name, c := range map[string]struct{ groups, mounts, top, own string }{
		"unified":             {"0::/user.slice/x.scope\n", v1 + unified, "/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/x.scope"},
		"its root":            {"0::/\n", unified, "/sys/fs/cgroup", "/sys/fs/cgroup"},
		"beside version 1":    {"4:memory:/a\n1:name=systemd:/b\n0::/c\n", v1 + hybrid, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/c"},
		"a container's part":  {"0::/docker/abc/d\n", bound, "/sys/fs/cgroup", "/sys/fs/cgroup/d"},
		"its top":             {"0::/docker/abc\n", bound, "/sys/fs/cgroup", "/sys/fs/cgroup"},
		"not in that part":    {"0::/docker/abcdef\n", bound, "", ""},
		"the second mount":    {"0::/other\n", bound + unified, "/sys/fs/cgroup", "/sys/fs/cgroup/other"},
		"outside of our view": {"0::/../other\n", unified, "", ""},
		"version 1 only":      {"4:memory:/a\n", v1, "", ""},
		"not mounted":         {"0::/a\n", v1, "", ""},
		"strange name":        {"0::/e f\n", blank, `/mnt/a b\c`, `/mnt/a b\c/e f`},
		"nothing":             {"", "", "", ""},
	} {
		h, err := parseHierarchy([]byte(c.groups), []byte(c.mounts))
		if h.top != c.top || h.own != c.own || (err == nil) != (c.own != "") {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func TestDelegated(t *testing.T) {
	const unit = "/top/system.slice/a.service"
	for name, c := range map[string]struct {
		dir                  string
		privileged, realRoot bool
		readOnly, marked     string // prefixes and directories, comma-separated
		want                 bool
	}{
		"root, the machine's root":         {dir: "/top", privileged: true, realRoot: true},
		"root, a group that nobody marked": {dir: "/top/a", privileged: true, realRoot: true},
		"root in a container":              {dir: "/top", privileged: true, want: true},
		"root below, in a container":       {dir: "/top/init", privileged: true, want: true},
		"root in a container, read-only":   {dir: "/top", privileged: true, readOnly: "/top"},
		"root, a service":                  {dir: unit, privileged: true, realRoot: true},
		"root, a service, delegated":       {dir: unit, privileged: true, realRoot: true, marked: unit, want: true},
		"root, below a delegated service":  {dir: unit + "/main", privileged: true, realRoot: true, marked: unit, want: true},
		"root, a service in a container":   {dir: unit, privileged: true},
		"user, another's":                  {dir: unit, realRoot: true, readOnly: "/top"},
		"user, given":                      {dir: "/top/mine", realRoot: true, want: true},
		"user, a service, delegated":       {dir: unit, realRoot: true, marked: unit, want: true},
		"user, the manager's own":          {dir: "/top/user@1.service/app.slice/x.scope", realRoot: true, marked: "/top/user@1.service"},
		"user, delegated by the user's manager": {dir: "/top/user@1.service/app.slice/x.service/main", realRoot: true,
			marked: "/top/user@1.service,/top/user@1.service/app.slice/x.service", want: true},
		"an actor's": {dir: "/top/a.service/understudy-1-x/y", privileged: true, realRoot: true, want: true},
	} {
		d := &delegation{hierarchy: hierarchy{top: "/top", own: c.dir}, privileged: c.privileged, realRoot: c.realRoot,
			writable: func(dir string) bool { return c.readOnly == "" || !strings.HasPrefix(dir, c.readOnly) },
			marked:   func(dir string) bool { return strings.Contains(","+c.marked+",", ","+dir+",") }}
		if got := d.delegated(c.dir); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	// An old systemd gives no mark that a user could read, but the directory.
	d := &delegation{hierarchy: hierarchy{top: "/top", own: unit}, realRoot: true,
		writable: func(dir string) bool { return dir == unit }, marked: func(string) bool { return false }}
	if !d.delegated(unit) {
		t.Error("a unit whose directory was given to the user is not delegated")
	}
}

func TestBase(t *testing.T) {
	all := func(string) bool { return true }
	for name, c := range map[string]struct {
		files     map[string]string
		own       string
		delegated bool
		demanded  bool
		base      string // "" is the top, "-" none
		memory    bool
	}{
		"above us, memory enabled": {own: "u/main", delegated: true, base: "u", memory: true, files: map[string]string{
			"u/cgroup.subtree_control": "cpu memory\n", "u/cgroup.procs": "", "u/main/cgroup.procs": "1\n"}},
		"above us, processes there": {own: "u/main", delegated: true, base: "u/main", files: map[string]string{
			"u/cgroup.subtree_control": "cpu memory\n", "u/cgroup.procs": "7\n", "u/main/cgroup.procs": "1\n"}},
		"above us, no memory": {own: "u/main", delegated: true, base: "u/main", files: map[string]string{
			"u/cgroup.controllers": "cpu pids\n", "u/cgroup.subtree_control": "cpu\n", "u/main/cgroup.procs": "1\n"}},
		"the root is exempt":         {own: "", delegated: true, base: "", memory: true, files: map[string]string{"cgroup.subtree_control": "memory\n"}},
		"not delegated":              {own: "u", base: "-", files: map[string]string{"u/cgroup.procs": "1\n"}},
		"not delegated but demanded": {own: "u/v", demanded: true, base: "u/v", files: map[string]string{"u/cgroup.subtree_control": "memory", "u/v/cgroup.procs": "1\n"}},
	} {
		top := fakeTree(t, c.files)
		d := &delegation{hierarchy: hierarchy{top: top, own: filepath.Join(top, c.own)}, realRoot: true, privileged: !c.delegated,
			writable: all, marked: all}
		base, memory, err := d.base(c.demanded)
		want := filepath.Join(top, c.base)
		if c.base == "-" {
			want = ""
		}
		if base != want || memory != c.memory || (err == nil) != (want != "") || err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("%s: %q, %v, %v", name, base, memory, err)
		}
	}
}

// The controller's files are files: what is written there is what counts.
func TestMemoryOfAGroup(t *testing.T) {
	top := fakeTree(t, map[string]string{"cgroup.controllers": "cpu memory\n"})
	if enable(top, "memory") {
		t.Error("enabled without a file to write to")
	}
	// In the kernel the file would say "memory" afterwards; here it says what was written.
	if err := os.WriteFile(filepath.Join(top, "cgroup.subtree_control"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_ = enable(top, "memory")
	if got := fileOf(t, top, "cgroup.subtree_control"); got != "+memory" {
		t.Errorf("subtree_control: %q", got)
	}
	if enable(top, "io") || fileOf(t, top, "cgroup.subtree_control") != "+memory" {
		t.Error("a controller that there is not was asked for")
	}

	full := map[string]string{"g/memory.max": "max", "g/memory.swap.max": "max", "g/memory.oom.group": "0"}
	top = fakeTree(t, full)
	g := &Group{dir: filepath.Join(top, "g")}
	if err := g.LimitMemory(64 << 20); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1"} {
		if got := fileOf(t, g.dir, file); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", file, got)
		}
	}
	// Without swap accounting and on old kernels there are fewer files; without memory.max there is no limit.
	delete(full, "g/memory.swap.max")
	delete(full, "g/memory.oom.group")
	g.dir = filepath.Join(fakeTree(t, full), "g")
	if err := g.LimitMemory(1 << 20); err != nil {
		t.Error(err)
	}
	g.dir = t.TempDir()
	if err := g.LimitMemory(1 << 20); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without memory.max: %v", err)
	}
}

func TestMemoryLimitThatCannotBeHad(t *testing.T) {
	const limit = 1 << 20
	c := &Groups{dir: t.TempDir(), required: true}
	var e *Error
	if _, err := c.New("a", limit); !errors.As(err, &e) || e.Memory != limit || !errors.Is(err, ErrNone) {
		t.Errorf("required, no controller: %v", err)
	}
	c.memory = true // but no files
	if _, err := c.New("a", limit); !errors.As(err, &e) || e.Memory != limit {
		t.Errorf("required, no files: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group is left: %v", err)
	}
	c.required = false
	if g, err := c.New("a", limit); g != nil || err != nil {
		t.Errorf("automatic: %v, %v", g, err)
	}
	for _, name := range []string{"", leafGroup, "a/b", "a\x00", "a\nb"} {
		c.required = true
		if _, err := c.New(name, 0); !errors.Is(err, unix.EINVAL) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestKillsOfAGroup(t *testing.T) {
	top := fakeTree(t, map[string]string{"g/memory.events": "low 0\noom 3\noom_kill 2\noom_group_kill 1\n"})
	g := &Group{dir: filepath.Join(top, "g")}
	if n, ok := g.OOMKills(); n != 2 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	// A kill of an actor below is not this actor's.
	if err := errors.Join(os.Mkdir(filepath.Join(g.dir, leafGroup), 0o755),
		os.WriteFile(filepath.Join(g.dir, leafGroup, "memory.events"), []byte("oom 0\noom_kill 0\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if n, ok := g.OOMKills(); n != 0 || !ok {
		t.Errorf("%d, %v", n, ok)
	}
	g.dir = top
	if _, ok := g.OOMKills(); ok {
		t.Error("it counts where there is no controller")
	}
}

func TestNestedGroupsAreWhereTheProcessIs(t *testing.T) {
	for own, want := range map[string]string{
		"/cg/understudy-1-sys/inc/self":       "/cg/understudy-1-sys/inc",
		"/cg/understudy-1-sys/inc/inc2/self":  "/cg/understudy-1-sys/inc/inc2",
		"/cg/understudy-1-sys/inc":            "",
		"/cg/understudy-1-other/inc/self":     "",
		"/cg/system.slice/a.service":          "",
		"/cg/understudy-1-sys/inc/self/below": "",
	} {
		if got := nestedGroups(hierarchy{"/cg", own}, "auto:sys").Dir(); got != want {
			t.Errorf("%s: %q", own, got)
		}
	}
	if c := nestedGroups(hierarchy{"/cg", "/cg/understudy-1-sys/inc/self"}, "required:sys"); !c.Required() || c.root {
		t.Errorf("%+v", c)
	}
}

func TestProcessorQuota(t *testing.T) {
	top := fakeTree(t, map[string]string{"a/cpu.max": "max 100000\n", "b/cpu.max": "50000 100000\n", "c/x": ""})
	for dir, want := range map[string]bool{"a": false, "b": true, "c": false} {
		if hasQuota(filepath.Join(top, dir)) != want {
			t.Error(dir)
		}
	}
	if env := (&Groups{system: "s"}).Environ(); env != Env+"=auto:s" {
		t.Errorf("a child is told %q", env)
	}
	if env := (&Groups{system: "s", required: true}).Environ(); env != Env+"=required:s" {
		t.Errorf("a child is told %q", env)
	}
}

// room sets up what Room reads.
func room(t *testing.T, groups, mountLines string, files map[string]string) (left int64, where string, ok bool) {
	t.Helper()
	top := fakeTree(t, files)
	list := filepath.Join(top, "proc-self-cgroup")
	if err := os.WriteFile(list, []byte(groups), 0o600); err != nil {
		t.Fatal(err)
	}
	own, table := ownGroups, mounts
	defer func() { ownGroups, mounts = own, table }()
	ownGroups, mounts = list, func() []byte { return []byte(strings.ReplaceAll(mountLines, "TOP", top)) }
	left, where, ok = Room()
	where, _ = strings.CutPrefix(where, top+"/")
	return left, where, ok
}

const (
	mountV2     = "29 23 0:26 / TOP/fs rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountHybrid = "41 31 0:38 / TOP/fs/unified rw,relatime - cgroup2 cgroup2 rw\n"
	mountBound  = "50 40 0:26 /docker/abc TOP/fs ro - cgroup2 cgroup rw\n"
	mountV1     = "30 23 0:27 / TOP/fs/memory rw shared:9 - cgroup cgroup rw,memory\n"
	mountV1Cpu  = "31 23 0:28 / TOP/fs/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
	mountV1Box  = "32 23 0:27 /docker/abc TOP/fs/memory ro - cgroup cgroup rw,memory\n"
)

// The limits of all groups above count, in both versions, wherever they are mounted.
func TestRoom(t *testing.T) {
	const free = int64(-1)
	none := strconv.FormatInt(1<<63-4096, 10)
	for name, c := range map[string]struct {
		groups, mounts string
		files          map[string]string
		left           int64
		where          string
	}{
		"above us, file pages can go": {"12:pids:/old\n0::/outer/inner\n", mountV2, map[string]string{
			"fs/outer/inner/memory.max": "max\n", "fs/outer/inner/memory.current": "5\n",
			"fs/outer/memory.max": "1000\n", "fs/outer/memory.current": "900\n",
			"fs/outer/memory.stat": "anon 5\nshmem 600\nactive_file 100\ninactive_file 200\n"}, 400, "fs/outer/memory.max"},
		"the least counts, and here that is not the last": {"0::/outer/inner\n", mountV2, map[string]string{
			"fs/outer/memory.max": "1000\n", "fs/outer/memory.current": "100\n",
			"fs/memory.max": "5000\n", "fs/memory.current": "100\n"}, 900, "fs/outer/memory.max"},
		"no limit":         {"0::/a\n", mountV2, map[string]string{"fs/a/memory.max": "max\n", "fs/a/memory.current": "4\n"}, free, ""},
		"more than it may": {"0::/a\n", mountV2, map[string]string{"fs/a/memory.max": "3\n", "fs/a/memory.current": "4\n"}, 0, "fs/a/memory.max"},
		"beside version 1": {"4:memory:/m\n0::/c\n", mountV1Cpu + mountHybrid, map[string]string{
			"fs/unified/c/memory.max": "1000\n", "fs/unified/c/memory.current": "1\n"}, 999, "fs/unified/c/memory.max"},
		"a container's part": {"0::/docker/abc/d\n", mountBound, map[string]string{
			"fs/d/memory.max": "1000\n", "fs/d/memory.current": "1\n"}, 999, "fs/d/memory.max"},
		"outside of what is mounted: its top": {"0::/../../elsewhere\n", mountV2, map[string]string{
			"fs/memory.max": "1000\n", "fs/memory.current": "1\n"}, 999, "fs/memory.max"},
		"version 1": {"4:cpu,cpuacct:/x\n3:memory:/a/b\n", mountV1Cpu + mountV1, map[string]string{
			"fs/memory/a/b/memory.limit_in_bytes": none, "fs/memory/a/b/memory.usage_in_bytes": "50\n",
			"fs/memory/a/memory.limit_in_bytes": "1000\n", "fs/memory/a/memory.usage_in_bytes": "900\n",
			"fs/memory/a/memory.stat": "cache 1\ntotal_active_file 100\ntotal_inactive_file 200\nactive_file 1\n"}, 400, "fs/memory/a/memory.limit_in_bytes"},
		"version 1, no limit": {"3:memory:/a\n", mountV1, map[string]string{
			"fs/memory/a/memory.limit_in_bytes": none, "fs/memory/a/memory.usage_in_bytes": "50\n"}, free, ""},
		"version 1, a limit above what a container sees": {"3:memory:/docker/abc\n", mountV1Box, map[string]string{
			"fs/memory/memory.limit_in_bytes": none, "fs/memory/memory.usage_in_bytes": "50\n",
			"fs/memory/memory.stat": "hierarchical_memory_limit 1000\n"}, 950, "fs/memory/memory.limit_in_bytes"},
		"the lesser version": {"3:memory:/a\n0::/b\n", mountV1 + mountHybrid, map[string]string{
			"fs/memory/a/memory.limit_in_bytes": "100", "fs/memory/a/memory.usage_in_bytes": "50\n",
			"fs/unified/b/memory.max": "1000", "fs/unified/b/memory.current": "1"}, 50, "fs/memory/a/memory.limit_in_bytes"},
		"not mounted": {"0::/a\n3:memory:/a\n", mountV1Cpu, nil, free, ""},
		"nothing":     {"", "", nil, free, ""},
	} {
		left, where, ok := room(t, c.groups, c.mounts, c.files)
		if !ok {
			left = free
		}
		if left != c.left || ok && where != c.where {
			t.Errorf("%s: %d in %q, want %d in %q", name, left, where, c.left, c.where)
		}
	}
}
