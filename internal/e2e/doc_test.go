// Package e2e_test proves, with real processes, what bad input and faults do to
// a system: each ends in a typed error that names the actor and the cause,
// leaves nothing behind, and harms nobody else. The bad peers, and the roots
// that are killed, are this test binary in another role (see roles).
package e2e_test
