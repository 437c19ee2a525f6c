package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/runtime"
)

// aboutTree is the question for what an actor has to do and what is below it.
const aboutTree = "tree"

func init() { runtime.RegisterAnswer(aboutTree, answerTree) }

type snapshotOrder struct {
	For time.Duration `msgpack:"for"` // within which to answer
}

func encodeOrder(o snapshotOrder) []byte { return codec.EncodeControl(o) }

// wireSnapshot is the answer.
type wireSnapshot struct {
	Load  runtime.Load `msgpack:"load"`
	Nodes []wireNode   `msgpack:"nodes"` // each before those below it
}

// wireNode is a Node on its way to the root.
type wireNode struct {
	Depth       int    `msgpack:"depth"`
	Name        string `msgpack:"name"`
	Path        string `msgpack:"path"`
	Series      string `msgpack:"series"`
	Kind        string `msgpack:"kind"`
	Supervisor  bool   `msgpack:"supervisor"`
	Restart     int    `msgpack:"restart"`
	Significant bool   `msgpack:"significant"`
	PID         int    `msgpack:"pid"`
	Incarnation string `msgpack:"incarnation"`
	State       string `msgpack:"state"`
	Restarts    int    `msgpack:"restarts"`
	LastExit    []byte `msgpack:"last_exit"`
	Since       int64  `msgpack:"since"` // ns of the Unix epoch, as Away
	Away        int64  `msgpack:"away"`  // 0: none
	ReadyGrace  int64  `msgpack:"ready_grace"`
	Failed      string `msgpack:"failed"`
	NoAnswer    string `msgpack:"no_answer"`

	Load     runtime.Load  `msgpack:"load"`
	Resident int64         `msgpack:"resident"`
	Shared   int64         `msgpack:"shared"`
	CPU      time.Duration `msgpack:"cpu"`
	Files    int           `msgpack:"files"`
	Threads  int           `msgpack:"threads"`
	Halted   bool          `msgpack:"halted"`
	Limits   [6]int64      `msgpack:"limits"` // memory, files, CPUs, nice; messages and bytes of the mailbox
}

func answerTree(ctx context.Context, sys *runtime.System, i *runtime.Instance, args []byte) ([]byte, error) {
	var o snapshotOrder
	if err := codec.DecodeResult(args, &o); err != nil {
		return nil, err
	}
	if i == nil {
		return nil, actor.ErrNotRunning
	}
	ctx, cancel := context.WithTimeout(ctx, max(o.For, time.Millisecond))
	defer cancel()
	var s survey
	below := s.below(ctx, sys, i.Path())
	s.work.Wait()
	var w wireSnapshot
	w.Load, _ = i.Load()
	for _, n := range below {
		w.add(n, 0)
	}
	return codec.EncodeControl(w), nil
}

func (w *wireSnapshot) add(n *Node, depth int) {
	x := wireNode{Depth: depth, Name: n.Name, Path: n.Path, Series: n.Series, Kind: n.Kind, Supervisor: n.Supervisor,
		Restart: int(n.Restart), Significant: n.Significant, PID: n.PID, State: n.State, Restarts: n.Restarts,
		Since: n.Since.UnixNano(), ReadyGrace: int64(n.ReadyGrace), Failed: text(n.Failed), NoAnswer: text(n.NoAnswer),
		Load:     runtime.Load{Messages: n.Messages, Bytes: n.Bytes, InHand: n.InHand, Methods: n.Methods, Frozen: n.FrozenArrays, Shared: n.SharedArrays},
		Resident: n.Resident, Shared: n.Shared, CPU: n.CPU, Files: n.Files, Threads: n.Threads, Halted: n.Halted,
		Limits: [6]int64{n.Limits.Memory, int64(n.Limits.Files), int64(n.Limits.CPUs), int64(n.Limits.Nice), int64(n.Mailbox.Messages), int64(n.Mailbox.Bytes)}}
	if n.Incarnation != uuid.Nil {
		x.Incarnation = n.Incarnation.String()
	}
	if n.LastExit != nil {
		x.LastExit = runtime.EncodeExit(*n.LastExit)
	}
	if !n.Away.IsZero() {
		x.Away = n.Away.UnixNano()
	}
	w.Nodes = append(w.Nodes, x)
	for _, c := range n.Children {
		w.add(c, depth+1)
	}
}

// decode takes over the answer of n's process.
func (n *Node) decode(raw []byte) error {
	var w wireSnapshot
	if err := codec.DecodeResult(raw, &w); err != nil {
		return err
	}
	n.has(w.Load)
	above := []*Node{n} // by depth
	for _, x := range w.Nodes {
		if x.Depth < 0 || x.Depth >= len(above) {
			return fmt.Errorf("snapshot of %s: node %s at depth %d", n.Path, x.Path, x.Depth)
		}
		c := x.node()
		above = append(above[:x.Depth+1], c)
		above[x.Depth].Children = append(above[x.Depth].Children, c)
	}
	return nil
}

func (w wireNode) node() *Node {
	n := &Node{ChildInfo: ChildInfo{Name: w.Name, Path: w.Path, Kind: w.Kind, Supervisor: w.Supervisor, Restart: Restart(w.Restart),
		PID: w.PID, State: w.State, Running: w.State == running.String(), Restarts: w.Restarts, Since: time.Unix(0, w.Since)},
		Series: w.Series, Significant: w.Significant, ReadyGrace: time.Duration(w.ReadyGrace), Failed: failure(w.Failed), NoAnswer: failure(w.NoAnswer),
		Resident: w.Resident, Shared: w.Shared, CPU: w.CPU, Files: w.Files, Threads: w.Threads, Halted: w.Halted,
		Limits:  Limits{w.Limits[0], int(w.Limits[1]), int(w.Limits[2]), int(w.Limits[3])},
		Mailbox: actor.Mailbox{Messages: int(w.Limits[4]), Bytes: int(w.Limits[5])}}
	n.has(w.Load)
	n.Incarnation, _ = uuid.Parse(w.Incarnation) // a nil id for what is none
	if x, err := runtime.DecodeExit(w.LastExit); err == nil && len(w.LastExit) > 0 {
		n.LastExit = &x
	}
	if w.Away != 0 {
		n.Away = time.Unix(0, w.Away)
	}
	return n
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func failure(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
