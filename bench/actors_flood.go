package main

import (
	"context"
	"iter"
	"runtime"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
)

// ownNote is a note that brings its own msgpack methods. They write what the
// codec writes for a note.
type ownNote note

// EncodeMsgpack implements [msgpack.CustomEncoder].
func (n *ownNote) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := enc.EncodeArrayLen(2); err != nil {
		return err
	}
	if err := enc.EncodeInt(int64(n.N)); err != nil {
		return err
	}
	return enc.EncodeString(n.S)
}

// DecodeMsgpack implements [msgpack.CustomDecoder].
func (n *ownNote) DecodeMsgpack(dec *msgpack.Decoder) (err error) {
	if _, err = dec.DecodeArrayLen(); err != nil {
		return err
	}
	if n.N, err = dec.DecodeInt(); err != nil {
		return err
	}
	n.S, err = dec.DecodeString()
	return err
}

// listNote is a note with a list, which takes it to the msgpack library and its
// reflection.
type listNote struct {
	N    int
	S    string
	More []int
}

// CountOwn counts a note that decoded itself.
func (s *subject) CountOwn(context.Context, ownNote) (actor.None, error) {
	s.casts++
	return actor.None{}, nil
}

// CountList counts a note with a list.
func (s *subject) CountList(context.Context, listNote) (actor.None, error) {
	s.casts++
	return actor.None{}, nil
}

// Tell is a stream of so many notes.
func (s *subject) Tell(_ context.Context, n int) iter.Seq2[note, error] {
	return func(yield func(note, error) bool) {
		for range n {
			if !yield(small, nil) {
				return
			}
		}
	}
}

// Mallocs is how many objects this process has put on the heap so far.
func (s *subject) Mallocs(context.Context, actor.None) (uint64, error) { return mallocsHere(), nil }

func mallocsHere() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

var (
	countOwn  = actor.DefineMethod(subjects, "count own", (*subject).CountOwn)
	countList = actor.DefineMethod(subjects, "count list", (*subject).CountList)
	tell      = actor.DefineStream(subjects, "tell", (*subject).Tell)
	mallocs   = actor.DefineMethod(subjects, "mallocs", (*subject).Mallocs)
)
