package main

import (
	"context"

	"github.com/understudy-go/understudy/actor"
)

// maxSize bounds a thumbnail in either direction, in pixels.
const maxSize = 4096

// scaler is the backend that makes pictures smaller.
type scaler struct{}

func newScaler(context.Context, actor.None) (*scaler, error) { return &scaler{}, nil }

// scaleRequest asks for a picture of the given width.
type scaleRequest struct {
	Picture Picture
	Width   int
}

// Scale reads the picture where the decoder has put it, and returns a new one,
// which moves to the caller.
func (*scaler) Scale(ctx context.Context, r scaleRequest) (Picture, error) {
	src, err := r.Picture.raster()
	if err != nil {
		return Picture{}, err
	}
	width, height := fit(src.width, src.height, r.Width, maxSize)
	small, err := newPicture(width, height, r.Picture.Format)
	if err != nil {
		return Picture{}, err
	}
	dst, err := small.raster()
	if err == nil {
		err = shrink(ctx, dst, src)
	}
	if err != nil {
		small.Release()
		return Picture{}, err
	}
	return small, nil
}

var (
	scalers = actor.Define("scaler", newScaler)
	scale   = actor.DefineMethod(scalers, "scale", (*scaler).Scale)
)

// Scaler is the frontend of a scaler.
type Scaler struct{ actor.Ref[scaler] }

// Scale returns the picture with the given width, or as it is if it is not
// wider. The caller releases both.
func (s Scaler) Scale(ctx context.Context, p Picture, width int) (Picture, error) {
	return scale.Call(ctx, s.Ref, scaleRequest{p, width})
}
