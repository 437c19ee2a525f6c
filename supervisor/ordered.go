package supervisor

import (
	"cmp"
	"iter"
)

// ordered is a map in the order of its keys whose values are never changed: set
// and delete return a new one that shares most of its nodes with the old one,
// at a cost that grows with the logarithm of the size. It is an AVL tree. The
// zero value is empty.
type ordered[K cmp.Ordered, V any] struct{ root *node[K, V] }

type node[K cmp.Ordered, V any] struct {
	key         K
	val         V
	left, right *node[K, V]
	height      int
	size        int
}

func (m ordered[K, V]) len() int { return m.root.count() }

func (m ordered[K, V]) get(key K) (val V, ok bool) {
	for n := m.root; n != nil; {
		switch c := cmp.Compare(key, n.key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.val, true
		}
	}
	return val, false
}

func (m ordered[K, V]) has(key K) bool {
	_, ok := m.get(key)
	return ok
}

func (m ordered[K, V]) set(key K, val V) ordered[K, V] {
	return ordered[K, V]{m.root.set(key, val)}
}

func (m ordered[K, V]) delete(key K) ordered[K, V] {
	if !m.has(key) {
		return m
	}
	return ordered[K, V]{m.root.delete(key)}
}

// first returns the entry with the least key.
func (m ordered[K, V]) first() (key K, val V, ok bool) {
	for k, v := range m.all() {
		return k, v, true
	}
	return key, val, false
}

// all yields the entries in the order of their keys.
func (m ordered[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.root.walk(yield) }
}

// from is all without the keys less than key.
func (m ordered[K, V]) from(key K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.root.walkFrom(key, yield) }
}

// backward yields the entries in the reverse order of their keys.
func (m ordered[K, V]) backward() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.root.walkBack(yield) }
}

func (n *node[K, V]) count() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (n *node[K, V]) tall() int {
	if n == nil {
		return 0
	}
	return n.height
}

// join makes a balanced node of two trees whose heights differ by 2 at most.
func (n *node[K, V]) join(left, right *node[K, V]) *node[K, V] {
	switch diff := left.tall() - right.tall(); {
	case diff > 1:
		if left.left.tall() < left.right.tall() {
			r := left.right
			return r.plain(left.plain(left.left, r.left), n.plain(r.right, right))
		}
		return left.plain(left.left, n.plain(left.right, right))
	case diff < -1:
		if right.right.tall() < right.left.tall() {
			l := right.left
			return l.plain(n.plain(left, l.left), right.plain(l.right, right.right))
		}
		return right.plain(n.plain(left, right.left), right.right)
	}
	return n.plain(left, right)
}

// plain makes a node with n's entry.
func (n *node[K, V]) plain(left, right *node[K, V]) *node[K, V] {
	return &node[K, V]{key: n.key, val: n.val, left: left, right: right,
		height: 1 + max(left.tall(), right.tall()), size: 1 + left.count() + right.count()}
}

func (n *node[K, V]) set(key K, val V) *node[K, V] {
	if n == nil {
		return &node[K, V]{key: key, val: val, height: 1, size: 1}
	}
	switch c := cmp.Compare(key, n.key); {
	case c < 0:
		return n.join(n.left.set(key, val), n.right)
	case c > 0:
		return n.join(n.left, n.right.set(key, val))
	}
	changed := *n
	changed.val = val
	return &changed
}

// delete removes a key that is there.
func (n *node[K, V]) delete(key K) *node[K, V] {
	switch c := cmp.Compare(key, n.key); {
	case c < 0:
		return n.join(n.left.delete(key), n.right)
	case c > 0:
		return n.join(n.left, n.right.delete(key))
	case n.left == nil:
		return n.right
	case n.right == nil:
		return n.left
	}
	next := n.right
	for next.left != nil {
		next = next.left
	}
	return next.join(n.left, n.right.delete(next.key))
}

func (n *node[K, V]) walk(yield func(K, V) bool) bool {
	return n == nil || n.left.walk(yield) && yield(n.key, n.val) && n.right.walk(yield)
}

func (n *node[K, V]) walkFrom(key K, yield func(K, V) bool) bool {
	switch {
	case n == nil:
		return true
	case n.key < key:
		return n.right.walkFrom(key, yield)
	}
	return n.left.walkFrom(key, yield) && yield(n.key, n.val) && n.right.walk(yield)
}

func (n *node[K, V]) walkBack(yield func(K, V) bool) bool {
	return n == nil || n.right.walkBack(yield) && yield(n.key, n.val) && n.left.walkBack(yield)
}

// queue is a first-in, first-out list that is never changed, only replaced.
type queue[T any] struct {
	items ordered[int, T]
	last  int // key of the newest
}

func (q queue[T]) len() int { return q.items.len() }

func (q queue[T]) push(v T) queue[T] {
	return queue[T]{q.items.set(q.last+1, v), q.last + 1}
}

// oldest returns what pop takes away.
func (q queue[T]) oldest() (v T, ok bool) {
	_, v, ok = q.items.first()
	return v, ok
}

func (q queue[T]) pop() queue[T] {
	k, _, _ := q.items.first()
	return queue[T]{q.items.delete(k), q.last}
}

// all yields the oldest first.
func (q queue[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, v := range q.items.all() {
			if !yield(v) {
				return
			}
		}
	}
}
