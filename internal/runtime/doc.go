// Package runtime is what carries actors and their messages: a system and its
// part of the tree (system.go, directory.go), the introduction of two processes to
// each other (route.go), the sending and the receiving end of a connection
// (sender.go, receiver.go), a handler's invocation and its context
// (invocation.go, handler_context.go), and the incarnations of actors with what
// they exist as: a process, or a goroutine of this one (incarnation.go,
// backend_*.go).
//
// It makes the public values of package actor, which it imports, and implements
// the interfaces of internal/port, by which actor reaches it. Only package
// supervisor, and what lies above that, may import it.
package runtime
