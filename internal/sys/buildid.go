package sys

import (
	"fmt"
	"os"
	"sync"
)

// BuildID returns what tells this executable from any other: equal in two processes means that they run the same
// code. It is the linker's build id; where there is none, the identity of the executable file.
func BuildID() string { return buildID() }

// EnvBuild names the environment entry that tells a re-exec'ed child the build id, which is its parent's: it is the
// same image. That saves it reading its own executable.
const EnvBuild = "UNDERSTUDY_BUILD"

// givenBuildID is what AdoptBuildID found.
var givenBuildID string

// AdoptBuildID takes EnvBuild out of the environment and makes it this process's build id. It must come before the
// first BuildID.
func AdoptBuildID() {
	givenBuildID = os.Getenv(EnvBuild)
	_ = os.Unsetenv(EnvBuild)
}

var buildID = sync.OnceValue(func() string {
	if givenBuildID != "" {
		return givenBuildID
	}
	if id := linkerBuildID(); id != "" {
		return id
	}
	path, err := executableFile()
	if err != nil {
		return fmt.Sprintf("pid-%d", os.Getpid()) // unknown is unlike everything else
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Sprintf("pid-%d", os.Getpid())
	}
	return fmt.Sprintf("file-%x-%x-%s", info.Size(), info.ModTime().UnixNano(), fileNumber(info))
})
