// Package memfd makes, seals, inspects and maps memory that processes share by descriptor. There is one maker and one
// inspector for the whole program: what is made is allocated and cannot change its size, what a peer sends is believed
// in nothing that the kernel does not confirm.
//
// It may import internal/cgroup, internal/sys and golang.org/x/sys.
package memfd
