package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func newRaster(width, height int) raster {
	return raster{make([]byte, 4*width*height), width, height}
}

func randomRaster(seed uint64, width, height int) raster {
	r, random := newRaster(width, height), rand.New(rand.NewPCG(seed, 0))
	for i := range r.pix {
		r.pix[i] = byte(random.Uint32())
	}
	return r
}

func mustShrink(t interface{ Fatal(...any) }, src raster, width, height int) raster {
	dst := newRaster(width, height)
	if err := shrink(context.Background(), dst, src); err != nil {
		t.Fatal(err)
	}
	return dst
}

// naive is shrink by the definition, in floating point.
func naive(src raster, width, height int) []float64 {
	overlap := func(a0, a1, b0, b1 float64) float64 { return max(0, min(a1, b1)-max(a0, b0)) }
	out := make([]float64, 4*width*height)
	sx, sy := float64(src.width)/float64(width), float64(src.height)/float64(height)
	for y := range height {
		for x := range width {
			for j := range src.height {
				for i := range src.width {
					part := overlap(float64(x)*sx, float64(x+1)*sx, float64(i), float64(i+1)) *
						overlap(float64(y)*sy, float64(y+1)*sy, float64(j), float64(j+1)) / (sx * sy)
					for c := range 4 {
						out[4*(y*width+x)+c] += part * float64(src.pix[4*(j*src.width+i)+c])
					}
				}
			}
		}
	}
	return out
}

func TestShrinkIsTheMeanOfTheArea(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := randomRaster(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 24).Draw(t, "src width"), rapid.IntRange(1, 24).Draw(t, "src height"))
		width, height := rapid.IntRange(1, src.width).Draw(t, "width"), rapid.IntRange(1, src.height).Draw(t, "height")
		got := mustShrink(t, src, width, height)
		for i, want := range naive(src, width, height) {
			if math.Abs(float64(got.pix[i])-want) > 0.5+1e-6 {
				t.Fatalf("%dx%d to %dx%d: value %d is %d, want %.3f", src.width, src.height, width, height, i, got.pix[i], want)
			}
		}
	})
}

func TestShrinkToTheSameSizeIsACopy(t *testing.T) {
	src := randomRaster(1, 7, 5)
	if got := mustShrink(t, src, 7, 5); !bytes.Equal(got.pix, src.pix) {
		t.Error("the copy differs")
	}
}

func TestShrinkKeepsOneColour(t *testing.T) {
	src := newRaster(101, 67)
	for i := range src.pix {
		src.pix[i] = []byte{1, 128, 254, 255}[i%4]
	}
	for i, v := range mustShrink(t, src, 37, 13).pix {
		if v != src.pix[i%4] {
			t.Fatalf("value %d is %d, want %d", i, v, src.pix[i%4])
		}
	}
}

func TestShrinkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("nobody waits")
	cancel(why)
	if err := shrink(ctx, newRaster(1, 1), newRaster(2, 2)); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct{ srcWidth, srcHeight, width, maxHeight, w, h int }{
		{150, 103, 128, 4096, 128, 88},
		{103, 150, 64, 4096, 64, 93},
		{150, 103, 4096, 4096, 150, 103}, // not enlarged
		{10000, 1, 100, 4096, 100, 1},    // not flattened to nothing
		{10, 40000, 100, 4096, 1, 4096},  // not endless
		{1, 1, 1, 1, 1, 1},
	} {
		if w, h := fit(c.srcWidth, c.srcHeight, c.width, c.maxHeight); w != c.w || h != c.h {
			t.Errorf("fit(%d, %d, %d, %d) = %d, %d, want %d, %d", c.srcWidth, c.srcHeight, c.width, c.maxHeight, w, h, c.w, c.h)
		}
	}
}

func BenchmarkShrink(b *testing.B) {
	src, dst := randomRaster(1, 1920, 1080), newRaster(128, 72)
	b.SetBytes(int64(len(src.pix)))
	for b.Loop() {
		if err := shrink(b.Context(), dst, src); err != nil {
			b.Fatal(err)
		}
	}
}
