package main

import (
	"fmt"
	"image"

	"github.com/understudy-go/understudy/shm"
)

// Picture is a picture on its way from actor to actor: the pixels stay where
// they are, a reference travels.
type Picture struct {
	// Pix holds the pixels, height × width × 4 bytes: red, green, blue and
	// alpha, where alpha has been multiplied into the others. Whoever has made
	// or received a picture releases it; a handler's are released for it.
	Pix    shm.Array[uint8]
	Format string // of the source: "png", "jpeg" or "gif"
}

// newPicture makes a picture that its maker may draw on until it is sent.
func newPicture(width, height int, format string) (Picture, error) {
	pix, err := shm.New[uint8](height, width, 4)
	return Picture{pix, format}, err
}

// raster is the picture as the scaler sees it. It is valid until the release.
func (p Picture) raster() (raster, error) {
	shape := p.Pix.Shape()
	if len(shape) != 3 || shape[0] < 1 || shape[1] < 1 || shape[2] != 4 {
		return raster{}, fmt.Errorf("no picture, but %v", p.Pix)
	}
	pix, err := p.Pix.Slice()
	return raster{pix, shape[1], shape[0]}, err
}

// rgba is the picture as package image sees it: the same memory.
func (r raster) rgba() *image.RGBA {
	return &image.RGBA{Pix: r.pix, Stride: 4 * r.width, Rect: image.Rect(0, 0, r.width, r.height)}
}

// Release lets go of the pixels. It may be called more than once.
func (p Picture) Release() { p.Pix.Release() }
