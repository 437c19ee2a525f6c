// Package supervisor keeps actors alive: it starts them in order, restarts
// those that fail by rules that were proven in Erlang/OTP, and stops them in
// reverse order.
//
// A [Spec] lists children. Each [Child] says what it runs: an actor, a [Pool] of
// workers, a further Spec, or a supervisor in a process of its own ([Kind]).
// [Start] turns a Spec into a running [Tree]; [Run] is the same for a program
// whose life it is.
//
//	tree, err := supervisor.Start(ctx, supervisor.Spec{
//		Strategy: supervisor.RestForOne,
//		Children: []supervisor.Child{
//			{Name: "store", Run: Stores.With(dir)},
//			{Name: "indexer", Run: Indexers.With(4), Restart: supervisor.Transient, StopTimeout: time.Second},
//		},
//	})
//
// Zero values are the defaults, OTP's: one for one, one restart within five
// seconds, permanent children with five seconds to stop. What OTP's zero says
// has a name here: [NoRestarts], [KillAtOnce]. What concerns the whole system,
// such as its logger, is in the [Options] beside the root's Spec.
//
// A child's arguments are encoded once, when Start or [Tree.StartChild] checks
// it, and each incarnation starts from them: what the caller changes afterwards
// changes nothing. Arrays among them are held until the child's spec goes.
//
// # When a child ends by itself
//
// A permanent child, the default, is restarted. A [Transient] one is restarted
// after an abnormal end: a panic, an error, a signal, an exit code. A
// [Temporary] one never is. Exit code 125, or an error that wraps
// [actor.ErrDoNotRestart], prevents a restart in any case. The [Strategy] says
// who is restarted with it; siblings are touched only if there is a restart.
//
// # Pools
//
// A child that runs a [Pool] is several workers of one kind behind one path.
// Its supervisor sees one child: the deaths of workers are the pool's own
// concern, by the pool's Intensity, and only when that is exceeded does the
// child end. [Tree.Children] has the workers in [ChildInfo] Workers; their
// events say in Detail why the pool ended one. [Tree.Roll] replaces all.
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
