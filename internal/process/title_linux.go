package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

// firstArg is argv[0] as the runtime left it: a string over the process's own argument memory. os.Args[0] is moved
// away from there at once, so that nobody who reads it later holds a string that changes.
var firstArg = func() string {
	if len(os.Args) == 0 {
		return ""
	}
	first := os.Args[0]
	os.Args[0] = strings.Clone(first)
	return first
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
	n := copy(space, strings.ReplaceAll(title, "\x00", " "))
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
	return title[:min(len(title), 15)] // TASK_COMM_LEN less its NUL
}

// SetShortName names the main thread and thereby the process, whichever thread calls: PR_SET_NAME would name
// the caller's thread alone.
func SetShortName(title string) error {
	return os.WriteFile("/proc/self/comm", []byte(shortName(title)), 0)
}
