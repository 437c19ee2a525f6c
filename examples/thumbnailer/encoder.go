package main

import (
	"bytes"
	"context"
	"image/jpeg"
	"image/png"

	"github.com/understudy-go/understudy/actor"
)

// encoder is the backend that writes thumbnails.
type encoder struct{}

func newEncoder(context.Context, actor.None) (*encoder, error) { return &encoder{}, nil }

// Thumbnail is an encoded thumbnail.
type Thumbnail struct {
	Data          []byte
	Format        string // "jpeg" or "png"
	Width, Height int
}

// Encode makes a JPEG of what was one, and a PNG, which can be transparent, of
// all else.
func (*encoder) Encode(_ context.Context, p Picture) (Thumbnail, error) {
	r, err := p.raster()
	if err != nil {
		return Thumbnail{}, err
	}
	var data bytes.Buffer
	format := "png"
	if p.Format == "jpeg" {
		format = "jpeg"
		err = jpeg.Encode(&data, r.rgba(), &jpeg.Options{Quality: 85})
	} else {
		err = png.Encode(&data, r.rgba())
	}
	return Thumbnail{data.Bytes(), format, r.width, r.height}, err
}

var (
	encoders = actor.Define("encoder", newEncoder)
	encode   = actor.DefineMethod(encoders, "encode", (*encoder).Encode)
)

// Encoder is the frontend of an encoder.
type Encoder struct{ actor.Ref[encoder] }

// Encode returns the picture as a file.
func (e Encoder) Encode(ctx context.Context, p Picture) (Thumbnail, error) {
	return encode.Call(ctx, e.Ref, p)
}
