// Thumbnailer makes thumbnails, of a folder or as an HTTP service. Decoders,
// scalers and encoders are processes; the pixels pass from one to the next by
// reference. What an image does to its decoder, it does to no other process.
//
//	thumbnailer -in DIR -out DIR     works through a folder
//	thumbnailer [-addr HOST:PORT]    serves POST /thumb?w=128 and GET /healthz
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/understudy-go/understudy/actor"
)

// config is what the flags say.
type config struct {
	in, out string
	width   int
	addr    string
	pipelineOptions
}

func main() {
	actor.Main() // a child process runs its actor here, and never returns

	c := config{}
	flag.StringVar(&c.in, "in", "", "folder with images (PNG, JPEG, GIF); with -out")
	flag.StringVar(&c.out, "out", "", "folder for the thumbnails, made if it is not there")
	flag.IntVar(&c.width, "w", defaultWidth, "width of the thumbnails of a folder, in pixels")
	flag.StringVar(&c.addr, "addr", "127.0.0.1:0", "address to serve HTTP on, without -in")
	flag.IntVar(&c.workers, "workers", max(2, runtime.NumCPU()), "number of decoders, of scalers and of encoders")
	flag.IntVar(&c.maxPixels, "pixels", 40_000_000, "most pixels that an image may have")
	flag.IntVar(&c.restarts, "restarts", 100, "most restarts of the workers of one kind within ten seconds")
	flag.Parse()
	if err := c.check(); err != nil {
		fmt.Fprintln(os.Stderr, "thumbnailer:", err)
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first ^C stops all in order, a second one at once
	if err := run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, "thumbnailer:", err)
		os.Exit(1)
	}
}

// check finds what cannot be meant.
func (c config) check() error {
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case (c.in == "") != (c.out == ""):
		return errors.New("-in and -out go together")
	case c.width < 1 || c.width > maxSize:
		return fmt.Errorf("-w %d: want 1 to %d", c.width, maxSize)
	case c.workers < 1:
		return fmt.Errorf("-workers %d: want at least 1", c.workers)
	case c.maxPixels < 1:
		return fmt.Errorf("-pixels %d: want at least 1", c.maxPixels)
	case c.restarts < 1:
		return fmt.Errorf("-restarts %d: want at least 1", c.restarts)
	}
	return nil
}

// run starts the workers, does what was asked for, and stops them.
func run(ctx context.Context, c config) (err error) {
	p, err := startPipeline(ctx, c.pipelineOptions)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop before everything was up
		}
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if c.in != "" {
		return runFolder(ctx, p, c)
	}
	l, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	fmt.Printf("serving on http://%s\n", l.Addr())
	return serve(ctx, l, p)
}

// errIncomplete says that the summary has bad news that are not an image's own
// fault.
var errIncomplete = errors.New("not all images were worked through")

func runFolder(ctx context.Context, p *Pipeline, c config) error {
	stderr, err := os.Stderr.Stat()
	terminal := err == nil && stderr.Mode()&os.ModeCharDevice != 0
	f := folder{in: c.in, out: c.out, width: c.width, parallel: cap(p.slots), progress: os.Stderr, redraw: terminal}
	s, err := f.run(ctx, p)
	if err != nil {
		return err
	}
	fmt.Print(s)
	if !s.ok() {
		return errIncomplete
	}
	return nil
}
