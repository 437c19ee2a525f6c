package observe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// jsonNode is a node of /tree.
type jsonNode struct {
	Path        string     `json:"path"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Since       time.Time  `json:"since"`
	Away        *time.Time `json:"away_since,omitempty"`
	PID         int        `json:"pid,omitempty"`
	Incarnation string     `json:"incarnation,omitempty"`
	Restart     string     `json:"restart,omitempty"`
	Significant bool       `json:"significant,omitempty"`
	Restarts    int        `json:"restarts"`
	LastExit    string     `json:"last_exit,omitempty"`
	Failed      string     `json:"failed,omitempty"`
	NoAnswer    string     `json:"no_answer,omitempty"`

	Messages int      `json:"messages"`
	Bytes    int      `json:"message_bytes"`
	InHand   int      `json:"in_hand"`
	Methods  []string `json:"methods_in_hand,omitempty"`

	Resident     int64   `json:"resident_bytes,omitempty"`
	Shared       int64   `json:"shared_bytes,omitempty"`
	CPU          float64 `json:"cpu_seconds,omitempty"`
	Files        int     `json:"open_files,omitempty"`
	Threads      int     `json:"threads,omitempty"`
	Halted       bool    `json:"halted,omitempty"`
	FrozenArrays int64   `json:"frozen_array_bytes,omitempty"`
	SharedArrays int64   `json:"shared_array_bytes,omitempty"`

	Limits   *jsonLimits `json:"limits,omitempty"`
	Children []jsonNode  `json:"children,omitempty"`
}

type jsonLimits struct {
	Memory   int64 `json:"memory_bytes,omitempty"`
	Files    int   `json:"open_files,omitempty"`
	CPUs     int   `json:"cpus,omitempty"`
	Nice     int   `json:"nice,omitempty"`
	Messages int   `json:"messages,omitempty"`
	Bytes    int   `json:"message_bytes,omitempty"`
}

func toJSON(n *supervisor.Node) jsonNode {
	j := jsonNode{Path: n.Path, Kind: n.Kind, State: n.State, Since: n.Since, PID: n.PID, Significant: n.Significant,
		Restart: n.Restart.String(), Restarts: n.Restarts, Failed: text(n.Failed), NoAnswer: text(n.NoAnswer),
		Messages: n.Messages, Bytes: n.Bytes, InHand: n.InHand, Methods: n.Methods,
		Resident: n.Resident, Shared: n.Shared, CPU: n.CPU.Seconds(), Files: n.Files, Threads: n.Threads, Halted: n.Halted,
		FrozenArrays: n.FrozenArrays, SharedArrays: n.SharedArrays}
	if !n.Away.IsZero() {
		j.Away = &n.Away
	}
	if n.Incarnation != (actor.Incarnation{}) {
		j.Incarnation = n.Incarnation.String()
	}
	if n.LastExit != nil {
		j.LastExit = n.LastExit.String()
	}
	limits := jsonLimits{n.Limits.Memory, n.Limits.Files, n.Limits.CPUs, n.Limits.Nice, n.Mailbox.Messages, n.Mailbox.Bytes}
	if limits != (jsonLimits{}) {
		j.Limits = &limits
	}
	for _, c := range n.Children {
		j.Children = append(j.Children, toJSON(c))
	}
	return j
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func showTree(tree *supervisor.Tree) func(*http.Request) answer {
	return func(r *http.Request) answer {
		format := r.URL.Query().Get("format")
		if format != "" && format != "json" && format != "mermaid" {
			return plain(http.StatusBadRequest, "format is json or mermaid")
		}
		n := snapshot(r.Context(), tree, askTimeout)
		if format == "mermaid" {
			return answer{contentType: "text/vnd.mermaid; charset=utf-8", body: []byte(mermaid(n))}
		}
		body, err := json.MarshalIndent(toJSON(n), "", "  ")
		if err != nil {
			return plain(http.StatusInternalServerError, err.Error())
		}
		return answer{contentType: "application/json", body: append(body, '\n')}
	}
}

// mermaid draws the tree as a flowchart: supervisors are rounded, what does not
// run is marked.
func mermaid(root *supervisor.Node) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	count := 0
	var draw func(n *supervisor.Node) string
	draw = func(n *supervisor.Node) string {
		id := fmt.Sprintf("n%d", count)
		count++
		left, right := "[", "]"
		if n.Supervisor {
			left, right = "([", "])"
		}
		fmt.Fprintf(&b, "  %s%s\"%s\"%s%s\n", id, left, label(n), right, class(n))
		for _, c := range n.Children {
			fmt.Fprintf(&b, "  %s --> %s\n", id, draw(c))
		}
		return id
	}
	draw(root)
	b.WriteString("  classDef away fill:#fbb,stroke:#900\n  classDef silent fill:#fe9,stroke:#960\n")
	return b.String()
}

func class(n *supervisor.Node) string {
	switch {
	case !n.Running:
		return ":::away"
	case n.NoAnswer != nil:
		return ":::silent"
	}
	return ""
}

func label(n *supervisor.Node) string {
	words := []string{n.Name, n.Kind}
	if n.Name != "/" && n.Kind == "supervisor" {
		words = words[:1]
	}
	if n.State != "running" {
		words = append(words, n.State)
	}
	if n.PID != 0 {
		words = append(words, fmt.Sprintf("pid %d", n.PID))
	}
	if n.Restarts > 0 {
		words = append(words, fmt.Sprintf("restarts %d", n.Restarts))
	}
	for i, w := range words {
		words[i] = entities.Replace(w)
	}
	return strings.Join(words, "<br>")
}

// entities are what would end or change a label. Mermaid writes them with #.
var entities = strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "#", "#35;", "`", "#96;", "&", "#amp;")
