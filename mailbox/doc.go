// Package mailbox carries messages between actors: it knows their form on the
// wire, keeps them in order until they are begun, and guards the receiver
// against what it is sent.
//
// A message is a MessagePack-RPC envelope (see [Envelope]), so that every
// language already has a peer: a request [0, id, method, params], a response
// [1, id, error, result] or a notification [2, method, params]. Between two
// Understudy processes one further element may carry [Meta].
//
// What arrives passes three gates, in this order:
//
//   - [Scanner] finds the end of each message in a stream and refuses what is
//     too large, too deep, has too many elements, or is not MessagePack. No
//     byte reaches a decoder before its whole message has passed.
//   - [ParseEnvelope] and [ParseMeta] take a message apart without copying.
//   - [Decode] and [DecodeArgs] build Go values from a [Source], which stops a
//     decoder that has lost its place in the message. A panic in a type's own
//     decoder becomes an error.
//
// # Memory
//
// The gates bound what a message can make the receiver allocate. Every element
// takes at least one byte on the wire, and a message has at most
// [Limits].Elements of them. Strings and binaries cost their own length. Each
// element of a slice or a map, and each pointer target, costs the size of its
// Go type; a value in an interface costs up to about 100 bytes. An element can
// be one byte on the wire while its Go type is large, so what a message would
// make is counted before it is decoded: 64 MiB, or 32 times its length if that is
// more, else it is [ErrTooLarge]. While a slice or a map grows it takes up to
// three times of that. What a type's own decoder makes is its own affair.
//
// # What travels
//
// WHAT-TRAVELS.md is the table. [CheckType] tells of a type whether its values
// arrive as they were sent.
package mailbox
