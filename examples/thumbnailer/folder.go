package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// folder works through the images of a folder.
type folder struct {
	in, out  string
	width    int
	parallel int       // images at a time
	progress io.Writer // for the progress bar; nil: none
	redraw   bool      // the bar is redrawn in place, as on a terminal
}

// outcome is what became of one image.
type outcome struct {
	name     string
	in, out  int // bytes
	err      error
	ownFault bool // the image is at fault, not we
}

// summary is what became of all.
type summary struct {
	images  int // found
	done    []outcome
	elapsed time.Duration
}

// failed lists the images without a thumbnail that were tried, by name.
func (s summary) failed() []outcome {
	var list []outcome
	for _, o := range s.done {
		if o.err != nil {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b outcome) int { return strings.Compare(a.name, b.name) })
	return list
}

// ok reports whether all images were worked through, and nothing went wrong
// that was not an image's own fault.
func (s summary) ok() bool {
	return len(s.done) == s.images && !slices.ContainsFunc(s.done, func(o outcome) bool { return o.err != nil && !o.ownFault })
}

// String is the report for people.
func (s summary) String() string {
	var b strings.Builder
	failed, in, out := s.failed(), 0, 0
	for _, o := range s.done {
		in, out = in+o.in, out+o.out
	}
	for _, o := range failed {
		fmt.Fprintf(&b, "%s: %s\n", o.name, explain(o.err))
	}
	fmt.Fprintf(&b, "%d images: %d thumbnails, %d failed", s.images, len(s.done)-len(failed), len(failed))
	if left := s.images - len(s.done); left > 0 {
		fmt.Fprintf(&b, ", %d not tried", left)
	}
	fmt.Fprintf(&b, "; %.1f kB in, %.1f kB out, %v\n", float64(in)/1e3, float64(out)/1e3, s.elapsed.Round(time.Millisecond))
	return b.String()
}

// run makes the thumbnails, until ctx ends. Images that fail are in the
// summary; the error is one of the folders.
func (f folder) run(ctx context.Context, p *Pipeline) (summary, error) {
	names, err := f.list()
	if err != nil {
		return summary{}, err
	}
	s, begun := summary{images: len(names)}, time.Now()
	next, outcomes := make(chan string), make(chan outcome)
	var workers sync.WaitGroup
	for range f.parallel {
		workers.Go(func() {
			for name := range next {
				outcomes <- f.convert(ctx, p, name)
			}
		})
	}
	go func() {
		defer func() {
			close(next)
			workers.Wait()
			close(outcomes)
		}()
		for _, name := range names {
			select {
			case next <- name:
			case <-ctx.Done():
				return
			}
		}
	}()
	bar := progressBar{w: f.progress, redraw: f.redraw, total: len(names)}
	for o := range outcomes {
		if errors.Is(o.err, context.Canceled) && ctx.Err() != nil {
			continue // we were asked to stop: it counts as not tried
		}
		s.done = append(s.done, o)
		bar.show(len(s.done), o.name)
	}
	bar.end()
	s.elapsed = time.Since(begun)
	return s, nil
}

// list makes the output folder and finds the images, by their names.
func (f folder) list() ([]string, error) {
	entries, err := os.ReadDir(f.in)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.out, 0o777); err != nil {
		return nil, err
	}
	in, err := os.Stat(f.in)
	if err != nil {
		return nil, err
	}
	if out, err := os.Stat(f.out); err != nil {
		return nil, err
	} else if os.SameFile(in, out) {
		return nil, fmt.Errorf("%s would get its own thumbnails: want another folder for the output", f.in)
	}
	var names []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".png", ".jpg", ".jpeg", ".gif":
			if !e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	return names, nil
}

// convert makes the thumbnail of one image. It is called like the image, with
// an extension added, so that no two images want the same name.
func (f folder) convert(ctx context.Context, p *Pipeline, name string) outcome {
	o := outcome{name: name}
	data, err := os.ReadFile(filepath.Join(f.in, name))
	if err != nil {
		o.err = err
		return o
	}
	t, err := p.Thumbnail(ctx, data, f.width)
	if err != nil {
		o.err, o.ownFault = err, errors.Is(err, errImage)
		return o
	}
	o.in, o.out = len(data), len(t.Data)
	o.err = writeFile(filepath.Join(f.out, name+".thumb."+t.Format), t.Data)
	return o
}

// writeFile writes a file that is either complete or not there.
func writeFile(name string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".thumbnail-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
