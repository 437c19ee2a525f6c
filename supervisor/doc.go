// Package supervisor keeps actors alive: it starts them in order, restarts
// those that fail by rules that were proven in Erlang/OTP, and stops them in
// reverse order.
//
// A [Spec] lists children: actors ([Actor]) and further supervisors
// ([Nested]). [Start] turns it into a running [Tree]; [Run] is the same for a
// program whose life it is.
//
//	tree, err := supervisor.Start(ctx, supervisor.Spec{
//		Strategy: supervisor.RestForOne,
//		Children: []supervisor.Child{
//			supervisor.Actor(Stores, "store", dir),
//			supervisor.Actor(Indexers, "indexer", 4, supervisor.Transient),
//		},
//	})
//
// # When a child ends by itself
//
// A permanent child, the default, is restarted. A [Transient] one is restarted
// after an abnormal end: a panic, an error, a signal, an exit code. A
// [Temporary] one never is. Exit code 125, or an error that wraps
// [actor.ErrDoNotRestart], prevents a restart in any case. The [Strategy] says
// who is restarted with it; siblings are touched only if there is a restart.
//
// # When restarts do not help
//
// More than Intensity restarts within Period end the supervisor: it stops its
// children in reverse order and reports to its own parent, which in its turn
// restarts it, from its spec, if it is permanent. The root has no parent: its
// [Tree.Err] is a [*GaveUpError], which [Run] returns.
//
// # Under the hood
//
// All decisions are made by one pure function, from a state and an event to a
// state and actions; one goroutine per supervisor carries them out.
package supervisor
