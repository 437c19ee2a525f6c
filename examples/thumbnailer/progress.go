package main

import (
	"fmt"
	"io"
	"strings"
)

// progressBar draws a bar. On a terminal it is redrawn in place; elsewhere it is
// a line for each tenth of the work.
type progressBar struct {
	w      io.Writer // nil: none
	redraw bool
	total  int
	tenth  int // of the line last drawn
}

// barWidth is the length of the bar, in characters.
const barWidth = 30

// show draws the bar when done of the total are done, last the named one.
func (b *progressBar) show(done int, name string) {
	if b.w == nil {
		return
	}
	full := barWidth * done / b.total
	bar := fmt.Sprintf("[%s%s] %d/%d", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), done, b.total)
	switch tenth := 10 * done / b.total; {
	case b.redraw:
		fmt.Fprintf(b.w, "\r\x1b[K%s %s", bar, name) // to the line's start, and clear it
	case tenth > b.tenth:
		b.tenth = tenth
		fmt.Fprintln(b.w, bar)
	}
}

// end leaves the bar as it is.
func (b *progressBar) end() {
	if b.w != nil && b.redraw && b.total > 0 {
		fmt.Fprintln(b.w)
	}
}
