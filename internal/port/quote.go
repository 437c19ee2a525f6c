package port

import "strings"

// quotedStdout is how many lines of standard output an error's text has. All
// that was kept is in its fields. Of standard error, where programs explain
// themselves, the text has it all; standard output carries a program's work,
// too, and only its last lines can be about its end.
const quotedStdout = 8

// Quote returns what a process printed, for an error's text: of both streams, since
// a warning on the one does not mean that the reason is not on the other.
func Quote(stdout, stderr []string) string {
	var b strings.Builder
	if len(stderr) > 0 {
		b.WriteString("; stderr: ")
		b.WriteString(strings.Join(stderr, " | "))
	}
	if more := len(stdout) - quotedStdout; more > 0 {
		stdout = stdout[more:]
	}
	if len(stdout) > 0 {
		b.WriteString("; stdout: ")
		b.WriteString(strings.Join(stdout, " | "))
	}
	return b.String()
}
