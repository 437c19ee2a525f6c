package actor

// Request is what an actor's process asks of the process that supervises it,
// outside of this library's calls: MessagePack-RPC in the other direction, as
// editors and language servers use it. See [KindOptions].OnRequest.
type Request struct {
	Path   string // the actor that asks
	Method string
	Params []any // decoded
	Call   bool  // an answer is awaited; a notification has none
}
