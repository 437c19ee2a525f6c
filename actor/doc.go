// Package actor is what people write with: kinds of actors, their methods, and
// references to them. The runtime, which carries messages between actors, comes
// with package supervisor. Every actor is an operating-system process, a child
// that is this program executed again; in-process mode runs the same actor in a
// goroutine.
//
// A kind has a frontend (a name, an argument type, typed methods: what callers
// may use) and a backend (a plain Go type with plain methods, which lives in
// the actor's process). [Define] and [DefineMethod] make both in one
// package; [Declare] with [DeclareMethod], and [Implement] with [ImplementMethod],
// keep them apart, so that a frontend's package need not link its backend; [External] runs another executable.
//
// Programs call [Main] in the first line of main, tests [TestMain]. Actors are
// started by supervisors: see package supervisor.
//
// # Time
//
// context.Context is the only clock and the only cancel. A call's deadline and
// cancellation reach the handler in the other process. There is no default
// timeout.
//
// # Errors
//
// A handler's error goes to the caller, and the actor lives on: the caller gets
// a [*RemoteError], in which errors.Is finds context errors, io.EOF, the fs.Err*
// values and the kind's own errors ([KindOptions]). A panic, or [Exit], ends the actor: the
// caller gets an [*ExitError] at once, and so do those who wait for calls that
// the actor had begun. What it had not begun waits for its replacement.
//
// # Logs
//
// Actors log with [Logger]: the records come out of the system's logger with
// the actor's path and pid, whether it is a process or a goroutine. So does each
// line that a process prints, at level Info, with its "stream": stdout or stderr.
// The last lines of both are in the report of its end.
//
// # Arrays
//
// An array of package shm is an ordinary field of a message and passes by
// reference. One that a handler receives is released when the handler returns,
// unless it calls Keep; one among a constructor's arguments lives as long as the
// actor; one in a reply belongs to the caller. A frozen array that a handler
// returns is released on its side, unless it was kept.
//
// # Concurrency
//
// Handlers of one actor run one at a time, on one goroutine, unless its kind's
// [KindOptions] allow more. The backend's Run, if it has one, runs beside them: what both
// touch needs a lock.
package actor
