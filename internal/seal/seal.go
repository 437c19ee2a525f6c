// Package seal closes interfaces: a type outside of this module cannot have a
// method with a parameter of type [Seal], and so cannot implement an
// interface with such a method. It imports nothing.
package seal

// Seal is the parameter of methods that only this module can declare. Its value
// means nothing.
type Seal struct{}
