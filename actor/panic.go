package actor

// PanicError is the panic, or the fatal error of the runtime, that ended an
// actor. Its text is the first line; the whole report is in Stack.
type PanicError struct {
	Text  string // "panic: out of words"
	Stack string // what the runtime printed: the stacks
	Value any    // what it panicked with, if it was in this process
}

func (e *PanicError) Error() string { return e.Text }

// Unwrap returns the panic's value if it is an error of this process.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
