package actor

import "strings"

// PanicError is the panic, or the fatal error of the runtime, that ended an
// actor. Its text is the first line; the whole report is in Stack.
type PanicError struct {
	Text  string // "panic: out of words"
	Stack string // what the runtime printed: the stacks

	value any // in-process
}

func (e *PanicError) Error() string { return e.Text }

// Unwrap returns the panic's value if it is an error of this process.
func (e *PanicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// crashError makes an error of a process's crash report.
func crashError(report string) error {
	report = strings.TrimSpace(report)
	if report == "" {
		return nil
	}
	text, _, _ := strings.Cut(report, "\n")
	return &PanicError{Text: text, Stack: report}
}
