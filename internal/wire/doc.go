// Package wire knows the form of messages: MessagePack, the envelopes of
// MessagePack-RPC, and the metadata that Understudy adds. It makes no Go values
// of what a user sent: that is internal/codec.
//
// A message is an [Envelope]: a request [0, id, method, params], a response
// [1, id, error, result] or a notification [2, method, params]; so every
// language already has a peer. Between two Understudy processes one further
// element may carry [Meta].
//
// What arrives passes a gate before it is looked at: [Scanner] finds the end
// of each message in a stream and refuses what is not MessagePack and what is
// beyond its [Limits]: too large, too deep, of too many elements. No byte
// reaches a decoder before its whole message has passed. [ParseEnvelope] and
// [ParseMeta] then take the message apart without copying.
//
// PROTOCOL.md defines all of this.
package wire
