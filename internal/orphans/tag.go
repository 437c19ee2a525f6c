package orphans

// EnvSystem names the environment entry that carries the system id: whatever has it in its environment belongs to that
// system, and the system's sweeper ends it when the system's root is gone.
const EnvSystem = "UNDERSTUDY_SYSTEM"

// Names of the environment entries for a sweeper.
const (
	// envSweeper turns this program into the sweeper of the system it names.
	envSweeper = "UNDERSTUDY_SWEEPER"
	// envGroup is the control group that the sweeper ends.
	envGroup = "UNDERSTUDY_SWEEPER_CGROUP"
)

// SystemTag returns the environment entry that marks a process as belonging to system.
func SystemTag(system string) string { return EnvSystem + "=" + system }
