// Package port is the seam between the typed frontends of package actor and
// internal/runtime, which carries their messages. It lies below both: actor
// declares what users write and reaches the runtime through the interfaces here;
// the runtime implements them and makes actor's public values itself.
//
// It holds the registry of kinds, which actor fills and the runtime reads.
//
// It imports neither actor nor internal/runtime.
package port
