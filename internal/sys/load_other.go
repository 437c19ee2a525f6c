//go:build !linux

package sys

func runnable() (int, bool) { return 0, false }
