package sys

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("SYS_TEST_BUILD_ID") != "" {
		AdoptBuildID()
		_, _ = os.Stdout.WriteString(BuildID())
		return
	}
	m.Run()
}

func TestMonotonicNowIsTheKernelsClock(t *testing.T) {
	kernel := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		return ts.Nano()
	}
	// The calibration may be off by the width of its tightest bracket; a millisecond is generous and would still
	// show another clock, or another zero.
	const slack = 1e6
	before := kernel()
	now := MonotonicNow()
	after := kernel()
	if now < before-slack || now > after+slack {
		t.Errorf("%d is not within [%d, %d]", now, before, after)
	}
}

func TestBuildID(t *testing.T) {
	if BuildID() == "" || strings.HasPrefix(BuildID(), "pid-") {
		t.Fatalf("build id %q", BuildID())
	}
	for given, want := range map[string]string{"": BuildID(), EnvBuild + "=given": "given"} {
		cmd := exec.Command(SelfImage)
		cmd.Env = append(os.Environ(), "SYS_TEST_BUILD_ID=1", given)
		if out, err := cmd.Output(); string(out) != want || err != nil {
			t.Errorf("the same program, told %q, says %q, want %q, %v", given, out, want, err)
		}
	}
	// The tool chain's own idea of it; test binaries have one unless somebody asked for none.
	if goTool, err := exec.LookPath("go"); err == nil {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(goTool, "tool", "buildid", exe).Output()
		if id := strings.TrimSpace(string(out)); err == nil && id != "" && id != BuildID() {
			t.Errorf("build id %q, want %q", BuildID(), id)
		}
	}
}
