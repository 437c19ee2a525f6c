// Package orphans leaves nothing of a system behind. A sweeper, which is a small process beside the system, ends what
// the system's root could not end because it is gone; a sweep ends whatever carries the system's tag in its environment
// or is in its control group; a reaper takes in the orphans of a living system and away their zombies.
//
// It may import internal/process, internal/cgroup, internal/sys and golang.org/x/sys.
package orphans
