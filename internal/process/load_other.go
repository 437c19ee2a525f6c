//go:build !linux

package process

func runnable() (int, bool) { return 0, false }
