package codec

import (
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/understudy-go/understudy/internal/wire"
)

// A stream of random values, cut anywhere, comes out as the same values.
func TestScannerSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		var ends []int
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			b, err := msgpack.Marshal(anyValue(4).Draw(t, "value"))
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, b...)
			ends = append(ends, len(stream))
		}
		var s wire.Scanner
		have, start := 0, 0
		var got []int
		for start < len(stream) {
			have = min(len(stream), have+rapid.IntRange(1, 20).Draw(t, "more"))
			for {
				n, err := s.Frame(stream[start:have])
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				start += n
				got = append(got, start)
			}
		}
		if len(got) != len(ends) {
			t.Fatalf("messages end at %v, found %v", ends, got)
		}
		for i := range got {
			if got[i] != ends[i] {
				t.Fatalf("messages end at %v, found %v", ends, got)
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	for name, v := range benchValues() {
		message := encoded(b, v)
		b.Run(name, func(b *testing.B) {
			var s wire.Scanner
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Frame(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
