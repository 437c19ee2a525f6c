package sys

import "testing"

func TestLacking(t *testing.T) {
	const refused = " has it, but it is refused here: by a seccomp filter or the container's policy?)"
	for release, want := range map[string]string{
		"4.19.0-27-amd64": "x (Linux 5.4 or later, this is 4.19.0-27-amd64)",
		"5.3.18":          "x (Linux 5.4 or later, this is 5.3.18)",
		"5.4.0":           "x (Linux 5.4.0" + refused,
		"5.10":            "x (Linux 5.10" + refused,
		"6.18.3-arch1":    "x (Linux 6.18.3-arch1" + refused,
		"6.1":             "x (Linux 6.1" + refused,
		"strange":         "x (Linux 5.4 or later)",
	} {
		if got := lacking("x", 5, 4, release); got != want {
			t.Errorf("%s: %s", release, got)
		}
	}
}
