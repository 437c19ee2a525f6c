package transport

import "sync/atomic"

// HookRings has f called at each step of all rings that are joined from now on:
// with the how many-th they are, from 0.
func HookRings(f func(ring int, step string)) (restore func()) {
	var n atomic.Int32
	joined = func(r *Rings) {
		ring := int(n.Add(1)) - 1
		hook := func(s step) { f(ring, string(s)) }
		r.out.hook, r.in.hook = hook, hook
	}
	return func() { joined = nil }
}
