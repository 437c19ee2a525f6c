// Python: images are made here, two workers in Python blur them with numpy, and
// the results come back by reference. In the middle one of the workers crashes.
//
//	go run ./examples/python -python /usr/bin/python3
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"runtime"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/actor/python"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// filter is the tag of the kind that filter.py runs.
type filter struct{}

var (
	interpreter = flag.String("python", "", "the Python that runs the workers, with msgpack and numpy; empty: a .venv's, or python3")
	images      = flag.Int("images", 6, "how many images to blur")
	out         = flag.String("out", "", "directory for the blurred images; empty: they are not kept")
)

// The program is declared before the flags are known, as every kind is: it is
// filled in by main.
var worker = python.Program{Script: filepath.Join(here(), "filter.py"), Path: []string{filepath.Join(here(), "../../python")}}

var (
	filters = python.DeclareFunc[filter, int]("filter", func() python.Program { return worker })
	blur    = actor.DeclareMethod[shm.Array[uint8], shm.Array[uint8]](filters, "blur")
	crash   = actor.DeclareMethod[actor.None, actor.None](filters, "crash")
)

// here is the directory of this file.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func main() {
	actor.Main()
	flag.Parse()
	worker.Interpreter = *interpreter
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "python:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "filter-1", Run: filters.With(3), Process: actor.Process{CPUs: 1}},
		{Name: "filter-2", Run: filters.With(3), Process: actor.Process{CPUs: 1}},
	}})
	if err != nil {
		return err
	}
	defer tree.Stop(ctx)
	workers := []actor.Ref[filter]{filters.Ref(tree, "filter-1"), filters.Ref(tree, "filter-2")}
	for n := range *images {
		if n == *images/2 {
			var x *actor.ExitError
			if _, err := crash.Call(ctx, workers[0], actor.None{}); !errors.As(err, &x) {
				return fmt.Errorf("the crash: %w", err)
			}
			fmt.Printf("%s crashed: %v\n", x.Path, x.Reason)
		}
		if err := one(ctx, workers[n%len(workers)], n); err != nil {
			return fmt.Errorf("image %d: %w", n, err)
		}
	}
	return nil
}

// one makes an image, has it blurred, and says how its contrast fell.
func one(ctx context.Context, to actor.Ref[filter], n int) error {
	const height, width = 480, 640
	picture, err := shm.New[uint8](height, width)
	if err != nil {
		return err
	}
	defer picture.Release()
	pixels := picture.Data()
	for y := range height {
		for x := range width {
			pixels[y*width+x] = uint8(255 * ((x>>(n%4+2) ^ y>>(n%4+2)) & 1)) // a chess board
		}
	}
	blurred, err := blur.Call(ctx, to, picture)
	if err != nil {
		return err
	}
	defer blurred.Release()
	fmt.Printf("%s blurred image %d: its contrast is %d, was %d\n", to.Path(), n, contrast(blurred.Data()), contrast(pixels))
	if *out == "" {
		return nil
	}
	return save(filepath.Join(*out, fmt.Sprintf("blurred-%d.png", n)), &image.Gray{Pix: blurred.Data(), Stride: width, Rect: image.Rect(0, 0, width, height)})
}

// contrast is the mean difference of neighbours.
func contrast(pixels []uint8) int {
	sum := 0
	for i := 1; i < len(pixels); i++ {
		d := int(pixels[i]) - int(pixels[i-1])
		sum += max(d, -d)
	}
	return sum / len(pixels)
}

func save(path string, picture image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, picture); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
