// Package mailbox keeps messages where they wait: at their sender until they are
// begun, and at the receiver until a handler slot is free.
//
// The two ends of one connection are
//
//   - the [Outbox] of a sender, which keeps each [Message] until the receiver
//     has begun it, so that what was not begun goes to the actor's replacement,
//     in order;
//   - a [Queue] of the receiver's [Inbox]. The inbox serves the queues of all
//     its connections round-robin, each handler as a [Slot].
//
// What travels back from the inbox to the outbox is the position that was begun
// last. It stands in the [Progress] page: memory that only the receiver writes,
// and that the sender can still read when the receiver is dead. Credit follows from it: a sender has at most so many messages, and so many bytes,
// that are not begun. A sender that is out of credit asks to be told of a
// position ([Queue.Want]) and sends on when that is begun.
//
// The form of messages is the concern of internal/wire, Go values that of
// internal/codec.
package mailbox
