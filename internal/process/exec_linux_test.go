package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

// Each field is honoured or named in an error; nothing is dropped.
func TestEveryFieldOfACommand(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	num := 0
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		cmd   *exec.Cmd
		field string // that is refused, "" if none is
	}{
		"plain":              {&exec.Cmd{Path: "/bin/true"}, ""},
		"no path":            {&exec.Cmd{}, "Path"},
		"files":              {&exec.Cmd{Path: "/x", Stdin: file, Stdout: file, Stderr: file}, ""},
		"reader":             {&exec.Cmd{Path: "/x", Stdin: strings.NewReader("x")}, "Stdin"},
		"writer":             {&exec.Cmd{Path: "/x", Stdout: &bytes.Buffer{}}, "Stdout"},
		"writer of errors":   {&exec.Cmd{Path: "/x", Stderr: &bytes.Buffer{}}, "Stderr"},
		"no file":            {&exec.Cmd{Path: "/x", Stdout: (*os.File)(nil)}, "Stdout"},
		"extra files":        {&exec.Cmd{Path: "/x", ExtraFiles: []*os.File{file}}, "ExtraFiles"},
		"context":            {exec.CommandContext(t.Context(), "/bin/true"), "Cancel"},
		"cancel":             {&exec.Cmd{Path: "/x", Cancel: func() error { return nil }}, "Cancel"},
		"wait delay":         {&exec.Cmd{Path: "/x", WaitDelay: time.Second}, "WaitDelay"},
		"started":            {&exec.Cmd{Path: "/x", Process: &os.Process{}}, "Process"},
		"ended":              {&exec.Cmd{Path: "/x", ProcessState: &os.ProcessState{}}, "ProcessState"},
		"session":            {withAttr(syscall.SysProcAttr{Setsid: true, Setpgid: true, Noctty: true, Pdeathsig: syscall.SIGKILL}), ""},
		"another group":      {withAttr(syscall.SysProcAttr{Setpgid: true, Pgid: 7}), "SysProcAttr.Pgid"},
		"terminal":           {withAttr(syscall.SysProcAttr{Setsid: true, Setctty: true}), "SysProcAttr.Setctty"},
		"terminal 3":         {withAttr(syscall.SysProcAttr{Ctty: 3}), "SysProcAttr.Ctty"},
		"foreground":         {withAttr(syscall.SysProcAttr{Foreground: true}), "SysProcAttr.Foreground"},
		"traced":             {withAttr(syscall.SysProcAttr{Ptrace: true}), "SysProcAttr.Ptrace"},
		"gentle end":         {withAttr(syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}), "SysProcAttr.Pdeathsig"},
		"group":              {withAttr(syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: 0}), "SysProcAttr.UseCgroupFD"},
		"group's descriptor": {withAttr(syscall.SysProcAttr{CgroupFD: 5}), "SysProcAttr.CgroupFD"},
		"pidfd":              {withAttr(syscall.SysProcAttr{PidFD: &num}), "SysProcAttr.PidFD"},
		"namespaces":         {withAttr(syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_FS}), ""},
		"another's child":    {withAttr(syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_PARENT}), "SysProcAttr.Cloneflags"},
		"shared memory":      {withAttr(syscall.SysProcAttr{Unshareflags: syscall.CLONE_VM}), "SysProcAttr.Unshareflags"},
	} {
		_, err := FromExec(c.cmd)
		var field *FieldError
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.field != "" && (!errors.As(err, &field) || field.Field != c.field || !errors.Is(err, errors.ErrUnsupported) ||
			!strings.Contains(err.Error(), c.field)):
			t.Errorf("%s: %v, want %s to be named", name, err, c.field)
		}
	}
	if _, err := FromExec(nil); err == nil {
		t.Error("no command")
	}
	if _, err := FromExec(&exec.Cmd{Path: "/x", Err: broken}); err != broken {
		t.Errorf("its own error: %v", err)
	}
	// What Go adds one day is refused until it is known here; what is known there must be.
	for prefix, typ := range map[string]reflect.Type{"": reflect.TypeFor[exec.Cmd](), "SysProcAttr.": reflect.TypeFor[syscall.SysProcAttr]()} {
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() && honoured[prefix+f.Name] == nil {
				t.Errorf("%s%s is unknown", prefix, f.Name)
			}
		}
	}
	strange := struct{ New int }{1}
	if err := checkFields("", reflect.ValueOf(strange), nil, nil); err == nil || !strings.Contains(err.Error(), "exec.Cmd.New") {
		t.Errorf("an unknown field: %v", err)
	}
}

func withAttr(a syscall.SysProcAttr) *exec.Cmd { return &exec.Cmd{Path: "/x", SysProcAttr: &a} }

// All restrictions that are honoured arrive at the kernel.
func TestAttributesAreTranslated(t *testing.T) {
	want := syscall.SysProcAttr{
		Chroot: "/x", Credential: &syscall.Credential{Uid: 1, Gid: 2, Groups: []uint32{3}, NoSetGroups: true}, AmbientCaps: []uintptr{10},
		Cloneflags: syscall.CLONE_NEWUSER, Unshareflags: syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1, HostID: 2, Size: 3}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 4, HostID: 5, Size: 6}},
		GidMappingsEnableSetgroups: true,
	}
	given := want
	cmd, err := FromExec(&exec.Cmd{Path: "/x", Args: []string{"zero", "one"}, Dir: "/dir", Env: []string{"A=1", "A=2"}, SysProcAttr: &given})
	if err != nil || !reflect.DeepEqual(*cmd.Sys, want) {
		t.Errorf("%+v, %v", cmd.Sys, err)
	}
	if cmd.Path != "/x" || cmd.Title != "zero" || !slices.Equal(cmd.Args, []string{"one"}) || cmd.Dir != "/dir" ||
		!slices.Equal(cmd.Env, []string{"A=2"}) {
		t.Errorf("%+v", cmd)
	}
	// Nothing zero is made up of the fields that are accepted: each of them is set above, or needs nothing.
	for name := range honoured {
		if field, found := strings.CutPrefix(name, "SysProcAttr."); found && reflect.ValueOf(honoured[name]).Pointer() == reflect.ValueOf(accept).Pointer() {
			if reflect.ValueOf(want).FieldByName(field).IsZero() && !slices.Contains([]string{"Setsid", "Noctty", "Setpgid"}, field) {
				t.Errorf("%s is accepted and not translated", field)
			}
		}
	}
}

// printed runs a translated command to its end and returns what it printed to stdout.
func printed(t *testing.T, c *exec.Cmd) (string, Status) {
	t.Helper()
	cmd, err := FromExec(c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(bounded(t), cmd)
	if errors.Is(err, os.ErrPermission) {
		t.Skipf("needs privileges: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	st := ended(t, p)
	return strings.Join(st.Stdout, "\n"), st
}

func TestFilesOfACommand(t *testing.T) {
	leaktest.Check(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err1 := os.Open(in)
	stdout, err2 := os.Create(out)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer stdout.Close()
	c := exec.Command("/bin/sh", "-c", "cat; echo oops >&2")
	c.Stdin, c.Stdout = stdin, stdout
	text, st := printed(t, c)
	data, err := os.ReadFile(out)
	if string(data) != "hello\n" || err != nil || text != "" || strings.Join(st.Stderr, "") != "oops" {
		t.Errorf("%q, %v; printed %q, %q", data, err, text, st.Stderr)
	}
	c = exec.Command("/bin/sh", "-c", "echo one; echo two >&2")
	c.Stdout, c.Stderr = stdout, stdout
	text, st = printed(t, c)
	if data, _ := os.ReadFile(out); string(data) != "hello\none\ntwo\n" || text != "" || st.Stderr != nil {
		t.Errorf("%q; printed %q, %q", data, text, st.Stderr)
	}
}

// A chroot shows its own root, also for who gives no directory; namespaces are others.
func TestRestrictionsOfACommand(t *testing.T) {
	leaktest.Check(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "program"), self, 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/program")
	c.Err = nil // it is looked up outside
	c.Env = []string{envRole + "=list root"}
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if !raceEnabled && testing.CoverMode() == "" { // else it needs libraries, or files, in there
		if got, st := printed(t, c); got != "/ [program]" {
			t.Errorf("a chroot has %q (%v %q)", got, st, st.Stderr)
		}
	}
	c = exec.Command("/bin/sh", "-c", "echo $$; readlink /proc/self/ns/uts")
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS, Unshareflags: syscall.CLONE_NEWIPC}
	ours, _ := os.Readlink("/proc/self/ns/uts")
	if got, _ := printed(t, c); strings.Contains(got, ours) || !strings.Contains(got, "uts:") {
		t.Errorf("%q, ours is %s", got, ours)
	}
	c = exec.Command("/bin/sh", "-c", "id -u; echo said >/dev/stderr; echo done >/dev/stdout; exit 3")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if got, st := printed(t, c); got != "65534\ndone" || strings.Join(st.Stderr, "") != "said" || st.Code != 3 {
		t.Errorf("another user: %q, stderr %q, %v", got, st.Stderr, st)
	}
	c = exec.Command("grep", "CapAmb", "/proc/self/status")
	c.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{unix.CAP_NET_RAW}}
	if got, _ := printed(t, c); !strings.HasSuffix(got, fmt.Sprintf("%016x", 1<<unix.CAP_NET_RAW)) {
		t.Errorf("ambient capabilities %q", got)
	}
}

func init() {
	roles["list root"] = func() int {
		dir, err := os.Getwd()
		entries, err2 := os.ReadDir("/")
		if err := errors.Join(err, err2); err != nil {
			fmt.Println(err)
		}
		names := []string{}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		fmt.Println(dir, names)
		return 0
	}
}
