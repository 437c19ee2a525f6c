// Package codec turns Go values into MessagePack and back. WHAT-TRAVELS.md says
// what arrives of each kind of value; [CheckType] tells of a type whether its
// values arrive as they were sent.
//
// [Encode] and [EncodeArgs] write to a [Buffer]. [Decode] and [DecodeArgs] build
// values from a [Source], whose bytes have passed the scanner of internal/wire;
// it stops a decoder that has lost its place in the message. A panic in a
// type's own encoder or decoder becomes an error. A [Codec] is for one type, and
// has a path without reflection for plain structs.
//
// # Memory
//
// The scanner's limits and this package bound what a message can make the
// receiver allocate. Every element takes at least one byte on the wire, and a
// message has at most [wire.Limits].Elements of them. Strings and binaries cost
// their own length. Each element of a slice or a map, and each pointer target,
// costs the size of its Go type; a value in an interface costs up to about 100
// bytes. An element can be one byte on the wire while its Go type is large, so
// what a message would make is counted before it is decoded: 64 MiB, or 32 times
// its length if that is more, else it is [wire.ErrTooLarge]. While a slice or a
// map grows it takes up to three times of that. What a type's own decoder makes
// is its own affair.
package codec
