package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

var attacks = map[string]attack{
	// Bytes that are no messages.
	"garbage":        {violates: true, do: send([]byte{0xc1})},
	"a number":       {violates: true, do: send([]byte{7})},
	"a map":          {violates: true, do: send([]byte{0x81, 1, 2})},
	"text":           {violates: true, do: send([]byte("panic: this is not a protocol\n"))},
	"oversized bin":  {violates: true, do: send([]byte{0x94, 1, 1, 0xc0, 0xc6, 0xff, 0xff, 0xff, 0xff})},
	"oversized str":  {violates: true, do: send([]byte{0x94, 1, 1, 0xc0, 0xdb, 0x7f, 0xff, 0xff, 0xff})},
	"oversized ext":  {violates: true, do: send([]byte{0x94, 1, 1, 0xc0, 0xc9, 0xff, 0xff, 0xff, 0xff, 1})},
	"array bomb":     {violates: true, do: send([]byte{0x94, 1, 1, 0xc0, 0xdd, 0xff, 0xff, 0xff, 0xff})},
	"map bomb":       {violates: true, do: send([]byte{0x94, 1, 1, 0xc0, 0xdf, 0xff, 0xff, 0xff, 0xff})},
	"nested bomb":    {violates: true, do: send(cat([]byte{0x94, 1, 1, 0xc0}, bytes.Repeat([]byte{0x91}, 1<<20)))},
	"wide bomb":      {violates: true, do: send(cat([]byte{0x94, 1, 1, 0xc0}, []byte{0xdd, 0, 0x20, 0, 0}, bytes.Repeat([]byte{0xc0}, 1<<21)))},
	"too large":      {violates: true, do: send(cat([]byte{0x94, 1, 1, 0xc0, 0xc6, 0, 0x50, 0, 0}, make([]byte, 5<<20)))},
	"type 7":         {violates: true, do: send([]byte{0x94, 7, 1, 0xc0, 0xc0})},
	"six elements":   {violates: true, do: send([]byte{0x96, 1, 1, 0xc0, 0xc0, 0xc0, 0xc0})},
	"params no list": {violates: true, do: send([]byte{0x93, 2, 0xa1, 'x', 0x01})},
	"meta no list":   {violates: true, do: send([]byte{0x94, 2, 0xa1, 'x', 0x90, 0x01})},
	"deadline text":  {violates: true, do: send([]byte{0x94, 2, 0xa1, 'x', 0x90, 0x91, 0xa1, 'x'})},

	// Messages in pieces.
	"byte at a time": {do: func(r *raw, id uint64) (any, error) {
		for _, b := range wire.AppendResponse(nil, id, nil, pack("done"), nil) {
			if err := r.send([]byte{b}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}},
	"cut": {do: func(r *raw, id uint64) (any, error) {
		b := wire.AppendResponse(nil, id, nil, pack("done"), nil)
		if err := r.send(b[:len(b)-2]); err != nil {
			return nil, err
		}
		os.Exit(4)
		return nil, nil
	}, violates: true, call: func(t testing.TB, _ string, err error) {
		x, _ := exitOf(err)
		if x == nil || x.Reason != actor.ReasonExitCode || x.Code != 4 {
			t.Errorf("end in the middle of a message: %v", err)
		}
	}},

	// Answers that nobody waits for.
	"late answer":        {do: send(wire.AppendResponse(nil, 12345, nil, pack("old"), nil))},
	"late control":       {do: send(wire.AppendResponse(nil, 1<<31|12345, nil, pack("old"), nil))},
	"answer beyond":      {violates: true, do: send(wire.AppendResponse(nil, 1<<40, nil, pack("old"), nil))},
	"answer to hello #2": {do: send(wire.AppendResponse(nil, 1<<31|1, nil, pack("old"), nil))},
	"answer twice": {do: func(r *raw, id uint64) (any, error) {
		return "again", r.respond(id, nil, "done")
	}},
	"answer and error": {do: func(r *raw, id uint64) (any, error) {
		return nil, r.send(wire.AppendResponse(nil, id, pack("no"), pack("yes"), nil))
	}, call: func(t testing.TB, _ string, err error) {
		var e *actor.RemoteError
		if !errors.As(err, &e) || e.Text != "no" {
			t.Errorf("answer with an error and a result: %v", err)
		}
	}},
	"wrong type": {do: answer([]any{1, map[string]any{"x": 2}}), call: fails("echo")},
	"deep answer": {do: func(r *raw, id uint64) (any, error) {
		return nil, r.send(wire.AppendResponse(nil, id, nil, cat(bytes.Repeat([]byte{0x91}, 60), []byte{1}), nil))
	}, call: fails("echo")},
	"forged error": {do: func(r *raw, id uint64) (any, error) {
		return nil, r.respond(id, map[string]any{"text": "forged", "is": []string{"io.EOF", "nobody.ErrX"}, "errno": -5,
			"exit": map[string]any{"begun": -7, "down": map[string]any{"path": "/x", "incarnation": "?", "exit": map[string]any{"reason": 4711, "signal": -1}}}}, nil)
	}, call: func(t testing.TB, _ string, err error) {
		var e *actor.RemoteError
		if !errors.As(err, &e) || e.Text != "forged" {
			t.Errorf("forged error: %v", err)
		}
	}},
	"error of another kind": {do: func(r *raw, id uint64) (any, error) {
		return nil, r.send(wire.AppendResponse(nil, id, []byte{0xd4, 5, 9}, nil, nil))
	}, call: fails("echo")},

	// What a peer asks its parent.
	"request": {do: func(r *raw, _ uint64) (any, error) {
		e, err := r.call("open_the_door", list("now"), nil)
		if err == nil && (e.Err == nil || !strings.Contains(text(e.Err), "open_the_door")) {
			err = fmt.Errorf("answered %s, %s", text(e.Err), text(e.Result))
		}
		return "done", err
	}},
	"plain request": {mode: "plain", do: func(r *raw, _ uint64) (any, error) {
		e, err := r.call("open_the_door", list("now"), nil)
		if err == nil && (len(e.Err) == 0 || e.Err[0] < 0xa0 || e.Err[0] > 0xdb || e.Err[0] < 0xd9 && e.Err[0] > 0xbf) {
			err = fmt.Errorf("the error is not a string: % x", e.Err)
		}
		return "done", err
	}},
	"request with a huge id": {do: func(r *raw, _ uint64) (any, error) {
		r.lastID = 1<<63 + 5
		e, err := r.call("x", list(), nil)
		if err == nil && e.Err == nil {
			err = errors.New("no error")
		}
		return "done", err
	}},
	"notification": {do: send(wire.AppendNotify(nil, "redraw", list(1, 2, 3), nil))},
	"empty method": {do: send(wire.AppendNotify(nil, "", list(), nil))},
	"unknown control": {do: func(r *raw, _ uint64) (any, error) {
		e, err := r.call("$/nonsense", list(1), nil)
		if err == nil && e.Err == nil {
			err = errors.New("no error")
		}
		return "done", err
	}},
	"bad control": {do: func(r *raw, _ uint64) (any, error) {
		for _, method := range []string{"$/introduce", "$/report", "$/watch"} {
			for _, params := range [][]byte{list(), list(nil, 5), list("x"), list([]int{1}), list(map[string]any{"path": 5})} {
				e, err := r.call(method, params, nil)
				if err != nil || e.Err == nil && !bytes.Equal(params, list(nil, 5)) {
					return nil, fmt.Errorf("%s %s: %s, %v", method, text(params), text(e.Result), err)
				}
			}
		}
		for _, method := range []string{"$/event", "$/log", "$/abandon", "$/ended", "$/item", "$/credit", "$/begin", "$/more", "$/want", "$/cancel", "$/connect", "$/stop", "$/probe"} {
			for _, params := range [][]byte{list(), list("x"), list(map[string]any{"reason": "?", "id": -1, "type": 3})} {
				if err := r.notify(method, params); err != nil {
					return nil, err
				}
			}
		}
		return "done", nil
	}},
	"introduction to nobody": {do: func(r *raw, _ uint64) (any, error) {
		e, err := r.call("$/introduce", list(map[string]any{"path": "/nobody", "kind": "victim", "from": "/liar"}), nil)
		if err == nil && !strings.Contains(text(e.Err), "/nobody") {
			err = fmt.Errorf("answered %s, %s", text(e.Err), text(e.Result))
		}
		return "done", err
	}},
	"introduction of the wrong kind": {do: func(r *raw, _ uint64) (any, error) {
		e, err := r.call("$/introduce", list(map[string]any{"path": "/healthy", "kind": "foreign", "from": "/liar"}), nil)
		if err == nil && !strings.Contains(text(e.Err), "/healthy") {
			err = fmt.Errorf("answered %s, %s", text(e.Err), text(e.Result))
		}
		return "done", err
	}},
	"a connection to the healthy": {do: attackConnection},

	// Descriptors.
	"descriptors with anything": {do: func(r *raw, _ uint64) (any, error) {
		for range 20 {
			if err := r.send(wire.AppendNotify(nil, "hello", list(), nil), 0, 1, 2, 0, 1, 2, 0, 1); err != nil {
				return nil, err
			}
		}
		return "done", nil
	}},
	"descriptors with a part": {do: func(r *raw, id uint64) (any, error) {
		b := wire.AppendResponse(nil, id, nil, pack("done"), nil)
		for i := range b {
			if err := r.send(b[i:i+1], 0, 1, 2); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}},
	"file without a descriptor": {do: send(wire.AppendNotify(nil, "$/file", codec.Params(5), nil))},
	"file without a token":      {violates: true, do: send(wire.AppendNotify(nil, "$/file", list(), nil))},
	"file with a text":          {violates: true, do: send(wire.AppendNotify(nil, "$/file", list("x"), nil))},
	"file twice": {violates: true, do: func(r *raw, _ uint64) (any, error) {
		b := wire.AppendNotify(nil, "$/file", codec.Params(5), nil)
		return "done", errors.Join(r.send(b, 0), r.send(b, 0))
	}},
	"too many files": {violates: true, do: func(r *raw, _ uint64) (any, error) {
		for i := range uint64(1000) {
			if err := r.send(wire.AppendNotify(nil, "$/file", codec.Params(i), nil), 0); err != nil {
				return "done", nil // ended already
			}
		}
		return "done", nil
	}},

	// Segments.
	"segment never sent":  {violates: true, do: send(wire.AppendNotify(nil, "$/segment", codec.Params(1, 4096, 1, 99), nil))},
	"segment of few":      {violates: true, do: send(wire.AppendNotify(nil, "$/segment", codec.Params(1, 4096), nil))},
	"segment is a pipe":   {violates: true, do: segmentAttack(4096, frozen, func() (int, error) { var p [2]int; err := unix.Pipe2(p[:], unix.O_CLOEXEC); return p[0], err })},
	"segment is a file":   {violates: true, do: segmentAttack(4096, frozen, func() (int, error) { return unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0) })},
	"segment is a device": {violates: true, do: segmentAttack(4096, shared, func() (int, error) { return unix.Open("/dev/zero", unix.O_RDWR|unix.O_CLOEXEC, 0) })},
	"segment unsealed":    {violates: true, do: segmentAttack(4096, frozen, func() (int, error) { return memfd(4096, 0) })},
	"segment writable":    {violates: true, do: segmentAttack(4096, frozen, func() (int, error) { return memfd(4096, sealSize) })},
	"segment may shrink":  {violates: true, do: segmentAttack(4096, shared, func() (int, error) { return memfd(4096, unix.F_SEAL_GROW) })},
	"segment shrunk": {violates: true, do: segmentAttack(8192, frozen, func() (int, error) {
		fd, err := memfd(8192, 0)
		if err == nil {
			err = unix.Ftruncate(fd, 4096)
		}
		if err == nil {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, sealFrozen)
		}
		return fd, err
	})},
	"segment too small":   {violates: true, do: segmentAttack(1<<40, frozen, func() (int, error) { return memfd(4096, sealFrozen) })},
	"segment negative":    {violates: true, do: segmentAttack(1<<63+1, frozen, func() (int, error) { return memfd(4096, sealFrozen) })},
	"segment empty":       {violates: true, do: segmentAttack(0, frozen, func() (int, error) { return memfd(4096, sealFrozen) })},
	"segment of mode 9":   {violates: true, do: segmentAttack(4096, 9, func() (int, error) { return memfd(4096, sealFrozen) })},
	"segment of mode 257": {violates: true, do: segmentAttack(4096, 257, func() (int, error) { return memfd(4096, sealFrozen) })},
	"segment sparse": {violates: true, do: segmentAttack(1<<30, frozen, func() (int, error) {
		return sparse(1<<30, sealFrozen, func(int) error { return nil })
	})},
	"segment twice": {violates: true, do: func(r *raw, _ uint64) (any, error) {
		fd, err := memfd(4096, sealFrozen)
		return "done", errors.Join(err, r.announce(1, 4096, frozen, fd), r.announce(1, 4096, frozen, fd))
	}},
	"segment with a lost descriptor": {do: func(r *raw, _ uint64) (any, error) {
		err := errors.Join(r.notify("$/file", codec.Params(3)), r.notify("$/segment", codec.Params(8, 4096, 1, 3)))
		if err != nil {
			return nil, err
		}
		_, err = r.await("$/lost")
		return "done", err
	}},
	"forget the unknown": {violates: true, do: send(wire.AppendNotify(nil, "$/forget", codec.Params(4), nil))},
	"lost the unknown":   {do: send(wire.AppendNotify(nil, "$/lost", codec.Params(4), nil))},
	"answer with an unknown segment": {do: func(r *raw, id uint64) (any, error) {
		m := wire.Meta{Segments: []uint64{4242}}
		return nil, r.send(wire.AppendResponse(nil, id, nil, pack("done"), m.Append(nil)))
	}, call: func(t testing.TB, _ string, err error) {
		if !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("answer with an unknown segment: %v", err)
		}
	}},
	"blob without a segment": {violates: true, do: send(wire.AppendNotify(nil, "$/blob", codec.Params(100), nil))},
	"blob beyond":            {violates: true, do: blobAttack(5000, []byte{0x90})},
	"blob of garbage":        {violates: true, do: blobAttack(100, bytes.Repeat([]byte{0xc1}, 100))},
	"blob cut":               {violates: true, do: blobAttack(3, []byte{0x94, 1, 1})},
	"blob glued":             {violates: true, do: blobAttack(10, []byte{0x93, 2, 0xa1, 'x', 0x90, 0x93, 2, 0xa1, 'x', 0x90})},
	"blob bomb":              {violates: true, do: blobAttack(1000, bytes.Repeat([]byte{0x91}, 1000))},
	"blob in a blob":         {violates: true, do: blobAttack(10, wire.AppendNotify(nil, "$/blob", codec.Params(1), nil))},
	"file in a blob":         {violates: true, do: blobAttack(10, wire.AppendNotify(nil, "$/file", codec.Params(1), nil))},

	// What a receiver says of its mailbox.
	"begun beyond what was sent": {violates: true, mode: "hello", do: send(wire.AppendNotify(nil, "$/begin", codec.Params(1<<60), nil))},
	"begun backwards": {mode: "hello", do: func(r *raw, _ uint64) (any, error) {
		return "done", errors.Join(r.notify("$/begin", codec.Params(1)), r.notify("$/begin", codec.Params(0)))
	}},
	"credits for nothing": {do: func(r *raw, _ uint64) (any, error) {
		for i := range uint64(2000) {
			if err := r.notify("$/credit", codec.Params(i<<50)); err != nil {
				return nil, err
			}
		}
		return "done", nil
	}},
	"items for a call": {do: func(r *raw, id uint64) (any, error) {
		for range 500 {
			if err := r.notify("$/item", list(map[string]any{"id": id, "value": []byte{1}})); err != nil {
				return nil, err
			}
		}
		return "done", nil
	}},
	"forged last word": {do: func(r *raw, _ uint64) (any, error) {
		if err := r.notify("$/ended", list(map[string]any{"reason": 4711, "err": map[string]any{"text": "forged"}})); err != nil {
			return nil, err
		}
		os.Exit(0)
		return nil, nil
	}, violates: true},
}
