package main

import (
	"context"
)

// fit returns the size of a thumbnail: width pixels wide and as high as the
// proportions want, at most maxHeight. It never enlarges.
func fit(srcWidth, srcHeight, width, maxHeight int) (w, h int) {
	w = min(width, srcWidth)
	h = max(1, (srcHeight*w+srcWidth/2)/srcWidth)
	if h > maxHeight {
		h = maxHeight
		w = max(1, (srcWidth*h+srcHeight/2)/srcHeight)
	}
	return w, h
}

// raster is a picture of four bytes a pixel, in rows from the top: red, green,
// blue and alpha, where alpha has been multiplied into the others, so that an
// average of pixels is what they look like from afar.
type raster struct {
	pix           []byte
	width, height int
}

// shrink fills dst with src by area averaging: each pixel of dst is the mean of
// the rectangle of src that it covers, in which pixels at the edge count with
// the part that lies inside. dst is not larger than src in either direction.
//
// The mean is taken of the stored values, as if they were light. They are not
// (sRGB is not linear), so that fine patterns of strong contrast come out a
// little too dark; most scalers do the same, and it is several times faster.
//
// The arithmetic is exact: on the common grid, a source pixel is dst.width by
// dst.height units large, and a destination pixel src.width by src.height.
func shrink(ctx context.Context, dst, src raster) error {
	columns := spans(dst.width, src.width)
	rows := spans(dst.height, src.height)
	sums := make([]uint64, 4*dst.width)
	line := make([]uint64, 4*dst.width)
	area := uint64(src.width) * uint64(src.height) // of a destination pixel, in units
	for y, row := range rows {
		if ctx.Err() != nil {
			return context.Cause(ctx) // no caller waits for it any more
		}
		clear(sums)
		for i := row.from; i < row.to; i++ {
			shrinkLine(line, src.pix[4*src.width*i:][:4*src.width], columns)
			weight := row.weight(i)
			for j, v := range line {
				sums[j] += weight * v
			}
		}
		out := dst.pix[4*dst.width*y:][:4*dst.width]
		for j, sum := range sums {
			out[j] = byte((sum + area/2) / area)
		}
	}
	return nil
}

// shrinkLine sums up each destination pixel's share of one line of the source.
func shrinkLine(sums []uint64, line []byte, columns []span) {
	for x, s := range columns {
		var r, g, b, a uint64
		for i := s.from; i < s.to; i++ {
			p, weight := line[4*i:][:4], s.weight(i)
			r += weight * uint64(p[0])
			g += weight * uint64(p[1])
			b += weight * uint64(p[2])
			a += weight * uint64(p[3])
		}
		copy(sums[4*x:], []uint64{r, g, b, a})
	}
}

// span is what one destination pixel covers in one direction: the source
// pixels [from, to), with their weights in units.
type span struct {
	from, to         int
	first, mid, last uint64
}

func (s span) weight(i int) uint64 {
	switch i {
	case s.from:
		return s.first
	case s.to - 1:
		return s.last
	}
	return s.mid
}

// spans divides src pixels among dst. On the common grid of src*dst units, each
// source pixel is dst units long and each destination pixel src.
func spans(dst, src int) []span {
	all := make([]span, dst)
	for i := range all {
		begin, end := i*src, (i+1)*src
		s := span{from: begin / dst, to: (end + dst - 1) / dst, mid: uint64(dst)}
		s.first = uint64(min((s.from+1)*dst, end) - begin)
		s.last = uint64(end - max((s.to-1)*dst, begin))
		all[i] = s
	}
	return all
}
