package process

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"syscall"

	"golang.org/x/sys/unix"
)

// honoured says of the fields of exec.Cmd and, with the prefix "SysProcAttr.", of syscall.SysProcAttr what becomes of
// them: a function returns why it refuses a value, "" if it does not. A field that is not here, such as one of a later
// version of Go, is refused unless it is zero: a restriction that is dropped in silence would be worse than a start that fails.
var honoured = map[string]func(c *exec.Cmd, a *syscall.SysProcAttr) string{
	"Path": accept, "Args": accept, "Env": accept, "Dir": accept,
	"Stdin":        func(c *exec.Cmd, _ *syscall.SysProcAttr) string { return onlyFile(c.Stdin) },
	"Stdout":       func(c *exec.Cmd, _ *syscall.SysProcAttr) string { return onlyFile(c.Stdout) },
	"Stderr":       func(c *exec.Cmd, _ *syscall.SysProcAttr) string { return onlyFile(c.Stderr) },
	"ExtraFiles":   refuse("descriptor 3 is the connection to the program"),
	"SysProcAttr":  accept,
	"Process":      refuse("the command has been started already"),
	"ProcessState": refuse("the command has been started already"),
	"Err":          accept, // returned as it is
	"Cancel":       refuse("its supervisor ends the program; make the command with exec.Command, not exec.CommandContext"),
	"WaitDelay":    refuse("its supervisor ends the program, after the stop timeout"),

	"SysProcAttr.Chroot": accept, "SysProcAttr.Credential": accept, "SysProcAttr.AmbientCaps": accept,
	"SysProcAttr.UidMappings": accept, "SysProcAttr.GidMappings": accept, "SysProcAttr.GidMappingsEnableSetgroups": accept,
	"SysProcAttr.Cloneflags": func(_ *exec.Cmd, a *syscall.SysProcAttr) string {
		return onlyFlags(a.Cloneflags, namespaces)
	},
	"SysProcAttr.Unshareflags": func(_ *exec.Cmd, a *syscall.SysProcAttr) string {
		return onlyFlags(a.Unshareflags, namespaces|unix.CLONE_FS|unix.CLONE_FILES|unix.CLONE_SYSVSEM)
	},
	"SysProcAttr.Setsid":     accept, // each child leads a session
	"SysProcAttr.Noctty":     accept, // and has no terminal
	"SysProcAttr.Setpgid":    accept, // and leads a process group
	"SysProcAttr.Pgid":       refuse("the program leads a process group of its own, which is killed with it"),
	"SysProcAttr.Setctty":    refuse(noTerminal),
	"SysProcAttr.Ctty":       refuse(noTerminal),
	"SysProcAttr.Foreground": refuse(noTerminal),
	"SysProcAttr.Ptrace":     refuse("the thread that starts programs would have to trace it"),
	"SysProcAttr.Pdeathsig": func(_ *exec.Cmd, a *syscall.SysProcAttr) string {
		if a.Pdeathsig != syscall.SIGKILL {
			return "a program gets SIGKILL when its supervisor's process dies"
		}
		return ""
	},
	"SysProcAttr.UseCgroupFD": refuse("control groups are the system's: use its Cgroups option and limits"),
	"SysProcAttr.CgroupFD":    refuse("control groups are the system's: use its Cgroups option and limits"),
	"SysProcAttr.PidFD":       refuse("the system holds the program's pidfd"),
}

const (
	noTerminal = "programs have no controlling terminal, which could stop them"
	namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME
)

func accept(*exec.Cmd, *syscall.SysProcAttr) string { return "" }

func refuse(reason string) func(*exec.Cmd, *syscall.SysProcAttr) string {
	return func(*exec.Cmd, *syscall.SysProcAttr) string { return reason }
}

func onlyFile(stream any) string {
	if f, ok := stream.(*os.File); !ok || f == nil {
		return fmt.Sprintf("a program gets files, and this is a %T; what it prints goes to the log", stream)
	}
	return ""
}

func onlyFlags(have, allowed uintptr) string {
	if rest := have &^ allowed; rest != 0 {
		return fmt.Sprintf("flags %#x are not namespaces", rest)
	}
	return ""
}

// FromExec translates a command of package os/exec. Every field is either honoured or an error: a *FieldError that names
// it, or the command's own Err.
func FromExec(c *exec.Cmd) (Command, error) {
	if c == nil {
		return Command{}, &FieldError{"", "there is no command"}
	}
	if c.Err != nil {
		return Command{}, c.Err
	}
	if c.Path == "" {
		return Command{}, &FieldError{"Path", "it is empty"}
	}
	attr := c.SysProcAttr
	if attr == nil {
		attr = &syscall.SysProcAttr{}
	}
	if err := checkFields("", reflect.ValueOf(c).Elem(), c, attr); err != nil {
		return Command{}, err
	}
	if err := checkFields("SysProcAttr.", reflect.ValueOf(attr).Elem(), c, attr); err != nil {
		return Command{}, err
	}
	cmd := Command{Path: c.Path, Title: c.Path, Args: c.Args[min(1, len(c.Args)):], Dir: c.Dir, Sys: &syscall.SysProcAttr{
		Chroot: attr.Chroot, Credential: attr.Credential, AmbientCaps: attr.AmbientCaps,
		Cloneflags: attr.Cloneflags, Unshareflags: attr.Unshareflags,
		UidMappings: attr.UidMappings, GidMappings: attr.GidMappings, GidMappingsEnableSetgroups: attr.GidMappingsEnableSetgroups,
	}}
	if len(c.Args) > 0 {
		cmd.Title = c.Args[0]
	}
	if c.Env != nil {
		cmd.Env = c.Environ() // of two equal names the last one counts, as everywhere in os/exec
	}
	cmd.Stdin, _ = c.Stdin.(*os.File)
	cmd.Stdout, _ = c.Stdout.(*os.File)
	cmd.Stderr, _ = c.Stderr.(*os.File)
	return cmd, nil
}

// checkFields refuses the exported fields of v that are neither zero nor honoured.
func checkFields(prefix string, v reflect.Value, c *exec.Cmd, a *syscall.SysProcAttr) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || v.Field(i).IsZero() {
			continue
		}
		check, known := honoured[prefix+field.Name]
		if !known {
			check = refuse("it is unknown to this version of the library")
		}
		if reason := check(c, a); reason != "" {
			return &FieldError{prefix + field.Name, reason}
		}
	}
	return nil
}
