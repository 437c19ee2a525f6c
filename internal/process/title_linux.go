package process

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// envProgram names the environment entry that tells a child that is this program what argv[0] was before a title took
// its place.
const envProgram = "UNDERSTUDY_PROGRAM"

// firstArg is argv[0] as the runtime left it: a string over the process's own argument memory, where SetTitle writes.
// os.Args[0] and the name of the command line's flags are moved away from there at once: to what the program was called,
// so that in a child, too, it can execute itself and log under its name. This happens before the program's own
// packages, which import this one, are initialised.
var firstArg = func() string {
	if len(os.Args) == 0 {
		return ""
	}
	first := os.Args[0]
	os.Args[0] = strings.Clone(first)
	if name, ok := os.LookupEnv(envProgram); ok {
		_ = os.Unsetenv(envProgram)
		os.Args[0] = name
	}
	if flag.CommandLine != nil && flag.CommandLine.Name() == first {
		flag.CommandLine.Init(os.Args[0], flag.CommandLine.ErrorHandling())
	}
	return first
}()

// programName is what a child is told that the program was called: by a path that leads there from any directory.
var programName = func() string {
	if firstArg == "" {
		return ""
	}
	if name := os.Args[0]; strings.ContainsRune(name, '/') && !filepath.IsAbs(name) {
		if absolute, err := filepath.Abs(name); err == nil {
			return absolute
		}
	}
	return os.Args[0]
}()

var (
	titleMu    sync.Mutex
	titleSpace = sync.OnceValue(findTitleSpace)
)

// SetTitle changes what ps and top show for this process: argv[0] in place, cut to the room that it had at exec
// (at least 128 bytes in a child begun by Start), and the short name in /proc/self/comm. os.Args[0] keeps the text
// it had. The error says which of the two failed.
func SetTitle(title string) error {
	titleMu.Lock()
	defer titleMu.Unlock()
	space := titleSpace()
	err := SetShortName(title)
	if space == nil {
		return errors.Join(err, errors.New("process: argv[0] is not where the kernel put it, the title stays"))
	}
	n := copy(space, cut(strings.ReplaceAll(title, "\x00", " "), len(space)))
	// Spaces, not NULs: those would read as that many empty arguments.
	for i := n; i < len(space); i++ {
		space[i] = ' '
	}
	return err
}

// findTitleSpace returns argv[0]'s memory. It returns nil unless the kernel agrees
// that this is the place (arg_start, field 48 of /proc/self/stat): nothing else may be written to.
func findTitleSpace() []byte {
	if firstArg == "" {
		return nil
	}
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil
	}
	// The second field is the short name in parentheses and may contain anything.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	const argStart = 48 - 3
	if len(fields) <= argStart {
		return nil
	}
	start, err := strconv.ParseUint(string(fields[argStart]), 10, 64)
	place := unsafe.StringData(firstArg)
	if err != nil || uintptr(start) != uintptr(unsafe.Pointer(place)) {
		return nil
	}
	return unsafe.Slice(place, len(firstArg))
}

// shortName is the last element of a title's path: 15 bytes are all there is room for, and the end tells actors apart.
func shortName(title string) string {
	if _, path, found := strings.Cut(title, ": "); found && path != "" {
		title = path
	}
	if i := strings.LastIndexByte(title, '/'); i >= 0 && i+1 < len(title) {
		title = title[i+1:]
	}
	return cut(title, 15) // TASK_COMM_LEN less its NUL
}

// cut returns the beginning of title, of at most n bytes and not ending inside a character, without what is no text.
func cut(title string, n int) string {
	title = strings.ToValidUTF8(title, "?")
	if len(title) <= n {
		return title
	}
	for n > 0 && !utf8.RuneStart(title[n]) {
		n--
	}
	return title[:n]
}

// SetShortName names the main thread and thereby the process, whichever thread calls: PR_SET_NAME would name
// the caller's thread alone.
func SetShortName(title string) error {
	return os.WriteFile("/proc/self/comm", []byte(shortName(title)), 0)
}
