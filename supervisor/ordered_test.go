package supervisor

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The tree against a map, and every older version against what it was.
func TestOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m ordered[int, int]
		want := map[int]int{}
		type version struct {
			m    ordered[int, int]
			want map[int]int
		}
		var old []version
		for range rapid.IntRange(0, 200).Draw(t, "changes") {
			old = append(old, version{m, maps.Clone(want)})
			k := rapid.IntRange(0, 60).Draw(t, "key")
			if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
				m = m.delete(k)
				delete(want, k)
			} else {
				m = m.set(k, len(old))
				want[k] = len(old)
			}
		}
		for _, v := range append(old, version{m, want}) {
			keys := slices.Sorted(maps.Keys(v.want))
			if got := slices.Collect(maps.Keys(maps.Collect(v.m.all()))); len(got) != len(keys) || v.m.len() != len(keys) {
				t.Fatalf("has %v, want %v", got, keys)
			}
			i := 0
			for k, val := range v.m.all() {
				if k != keys[i] || val != v.want[k] {
					t.Fatalf("at %d: %d = %d, want %d = %d", i, k, val, keys[i], v.want[keys[i]])
				}
				if got, ok := v.m.get(k); !ok || got != val {
					t.Fatalf("get(%d) = %d, %v", k, got, ok)
				}
				i++
			}
			for k := range v.m.backward() {
				i--
				if k != keys[i] {
					t.Fatalf("backward: %d, want %d", k, keys[i])
				}
			}
			from := rapid.IntRange(-1, 61).Draw(t, "from")
			at, _ := slices.BinarySearch(keys, from)
			for k := range v.m.from(from) {
				if k != keys[at] {
					t.Fatalf("from %d: %d, want %d", from, k, keys[at])
				}
				at++
			}
			if at != len(keys) {
				t.Fatalf("from %d: ends after %d of %v", from, at, keys)
			}
			balanced(t, v.m.root)
		}
	})
}

func balanced(t *rapid.T, n *node[int, int]) {
	if n == nil {
		return
	}
	if d := n.left.tall() - n.right.tall(); d < -1 || d > 1 {
		t.Fatalf("heights %d and %d", n.left.tall(), n.right.tall())
	}
	balanced(t, n.left)
	balanced(t, n.right)
}
