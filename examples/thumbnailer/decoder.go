package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/gif"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// errImage is what is wrong with an image, as opposed to with us.
var errImage = errors.New("cannot decode the image")

// decodeGrace is how long a decoder may go on with an image that no caller waits
// for any more. image.Decode cannot be interrupted, but its process can end.
const decodeGrace = 2 * time.Second

// decoder is the backend that meets what comes from outside. If an image makes
// it panic, hang, or take more memory than it may, only this process is lost.
type decoder struct{ maxPixels int }

func newDecoder(_ context.Context, maxPixels int) (*decoder, error) {
	return &decoder{maxPixels}, nil
}

// Decode turns a PNG, JPEG or GIF (its first frame) into pixels. The picture
// that it returns moves to the caller.
func (d *decoder) Decode(ctx context.Context, data []byte) (Picture, error) {
	defer d.endIfStuck(ctx)()

	// The header first: a few bytes may claim a picture that fills the memory.
	header, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", errImage, err)
	}
	if header.Width < 1 || header.Height < 1 || header.Width > d.maxPixels/header.Height {
		return Picture{}, fmt.Errorf("%w: %d×%d pixels, want 1 to %d", errImage, header.Width, header.Height, d.maxPixels)
	}
	decoded, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", errImage, err)
	}
	p, err := newPicture(header.Width, header.Height, format)
	if err != nil {
		return Picture{}, err
	}
	canvas, err := p.raster()
	if err != nil {
		p.Release()
		return Picture{}, err
	}
	// The frame of a GIF may be a part of its canvas only; the rest stays transparent.
	draw.Draw(canvas.rgba(), decoded.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	return p, nil
}

// endIfStuck ends this process if the handler is still at work decodeGrace
// after ctx. The supervisor replaces it, and what waits is served by the
// replacement.
func (d *decoder) endIfStuck(ctx context.Context) (done func()) {
	finished := make(chan struct{})
	context.AfterFunc(ctx, func() {
		select {
		case <-finished:
		case <-time.After(decodeGrace):
			actor.Exit(ctx, fmt.Errorf("still decoding %v after the request had ended", decodeGrace))
		}
	})
	return func() { close(finished) }
}

var (
	decoders = actor.Define("decoder", newDecoder, actor.KindOptions{Errors: []error{errImage}})
	decode   = actor.DefineMethod(decoders, "decode", (*decoder).Decode)
)

// Decoder is the frontend of a decoder.
type Decoder struct{ actor.Ref[decoder] }

// Decode turns an image file's bytes into pixels. The caller releases them.
// The error is an errImage if the image is at fault.
func (d Decoder) Decode(ctx context.Context, data []byte) (Picture, error) {
	return decode.Call(ctx, d.Ref, data)
}
