package main

import (
	"context"
	"errors"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// Pipeline makes thumbnails: each is the work of one decoder, one scaler and
// one encoder. It is safe for concurrent use.
type Pipeline struct {
	tree     *supervisor.Tree
	slots    chan struct{} // bounds the pictures that exist at a time
	decoders team[Decoder]
	scalers  team[Scaler]
	encoders team[Encoder]
}

// pipelineOptions are the options of a pipeline.
type pipelineOptions struct {
	workers   int // of each kind
	maxPixels int // of an image
	restarts  int // of the workers of a kind within ten seconds that are put up with
}

// decoderMemory bounds the memory of a decoder's process, in bytes: it is what
// stops an image that the limit of pixels does not. At worst, for a progressive
// CMYK JPEG, image/jpeg takes 20 bytes a pixel.
func decoderMemory(maxPixels int) int64 { return 256<<20 + 24*int64(maxPixels) }

// startPipeline starts the workers. Stop stops them.
func startPipeline(ctx context.Context, o pipelineOptions) (*Pipeline, error) {
	memory := actor.Process{Memory: decoderMemory(o.maxPixels)}
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Period: time.Minute, // a team that gives up twice within it cannot be helped
		Children: []supervisor.Child{
			teamChild("encoders", o.workers, o.restarts, supervisor.Child{Run: encoders.With(actor.None{})}),
			teamChild("scalers", o.workers, o.restarts, supervisor.Child{Run: scalers.With(actor.None{})}),
			teamChild("decoders", o.workers, o.restarts, supervisor.Child{Run: decoders.With(o.maxPixels), Process: memory, StopTimeout: time.Second}),
		},
		Defaults: supervisor.Child{Watchdog: 10 * time.Second}, // a process that was stopped is replaced, too
	})
	if err != nil {
		return nil, err
	}
	p := &Pipeline{tree: tree, slots: make(chan struct{}, 2*o.workers)}
	var errs [3]error
	p.decoders, errs[0] = newTeam(tree, "decoders", o.workers, decoders, func(r actor.Ref[decoder]) Decoder { return Decoder{r} })
	p.scalers, errs[1] = newTeam(tree, "scalers", o.workers, scalers, func(r actor.Ref[scaler]) Scaler { return Scaler{r} })
	p.encoders, errs[2] = newTeam(tree, "encoders", o.workers, encoders, func(r actor.Ref[encoder]) Encoder { return Encoder{r} })
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// Thumbnail makes a thumbnail of an image file's bytes. If a worker dies with
// this request in its hands, the error is an [*actor.ExitError]; a request that
// only waits for that worker is served by its replacement.
func (p *Pipeline) Thumbnail(ctx context.Context, data []byte, width int) (Thumbnail, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return Thumbnail{}, context.Cause(ctx)
	}
	full, err := ask(ctx, p.decoders, func(d Decoder) (Picture, error) { return d.Decode(ctx, data) })
	if err != nil {
		return Thumbnail{}, err
	}
	defer full.Release()
	small, err := ask(ctx, p.scalers, func(s Scaler) (Picture, error) { return s.Scale(ctx, full, width) })
	if err != nil {
		return Thumbnail{}, err
	}
	defer small.Release()
	full.Release() // it is large and not needed any more
	return ask(ctx, p.encoders, func(e Encoder) (Thumbnail, error) { return e.Encode(ctx, small) })
}

// Done is closed when the workers have ended: stopped, or given up on.
func (p *Pipeline) Done() <-chan struct{} { return p.tree.Done() }

// Stop stops the workers in order, and returns when all are gone, with the
// error of a supervisor that had given up.
func (p *Pipeline) Stop() error {
	return errors.Join(p.tree.Stop(context.Background()), p.tree.Err())
}

// Worker is what is known about one worker.
type Worker struct {
	Path     string `json:"path"`
	PID      int    `json:"pid"`
	State    string `json:"state"`
	Restarts int    `json:"restarts"`
}

// Workers lists all workers. It is false if there is a team of which nobody
// is running.
func (p *Pipeline) Workers() (list []Worker, healthy bool) {
	healthy = true
	for t := range p.tree.Children() {
		running := false
		if sub, err := p.tree.Supervisor(t.Name); err == nil {
			for c := range sub.Children() {
				list = append(list, Worker{c.Path, c.PID, c.State, c.Restarts})
				running = running || c.Running
			}
		}
		healthy = healthy && running
	}
	return list, healthy
}
