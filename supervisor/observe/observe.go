// Package observe shows what a tree of actors does: health for probes, a page of
// the tree, metrics of all its processes in one scrape, and any actor's profiles.
//
//	mux.Handle("/", observe.Handler(tree))
//
// It needs the standard library only, and runs in the process of the tree: the
// actors' processes listen nowhere. They are asked through their supervisors,
// whatever their handlers do.
package observe

import (
	"net/http"
	"strconv"
	"time"

	"github.com/understudy-go/understudy/supervisor"
)

// Bounds of what a request may cost.
const (
	maxAtOnce    = 4                // requests of one endpoint under way; more are refused
	maxQuery     = 1 << 10          // bytes
	writeTimeout = 10 * time.Second // for a reader to take an answer
	probeTimeout = time.Second      // for the supervisor's loop
	askTimeout   = time.Second      // for the processes of the tree
)

// Handler returns a handler that serves, for GET and HEAD:
//
//	/livez                  200 while the loop of the tree's supervisor turns
//	/readyz                 200 while [Ready] returns nil, else 503 and what is away
//	/tree                   the tree as JSON; as a Mermaid diagram with ?format=mermaid
//	/metrics                metrics of the tree in the Prometheus or OpenMetrics text format
//	/debug/actors/PATH/pprof/NAME  a profile of the process in which the actor at PATH runs
//
// NAME is heap, goroutine, allocs, block, mutex, threadcreate (with ?debug=1 as
// text), or profile or trace (?seconds=, 30 at most 120). PATH is left out for the
// profiles of this process:
//
//	go tool pprof http://HOST/debug/actors/media/decoder/pprof/heap
//
// Requests are bounded in number and in time: those beyond are refused with 503.
// The tree and the profiles tell what only operators should know, so mount the
// handler where only they come.
func Handler(tree *supervisor.Tree) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", bounded(livez(tree)))
	mux.Handle("GET /readyz", bounded(readyz(tree)))
	mux.Handle("GET /tree", bounded(showTree(tree)))
	mux.Handle("GET /metrics", bounded(metrics(tree)))
	mux.Handle("GET /debug/actors/", bounded(profiles(tree)))
	return mux
}

// answer is what an endpoint says.
type answer struct {
	status      int // 0: 200
	contentType string
	body        []byte
	file        string // under which to save it
}

func plain(status int, text string) answer {
	return answer{status: status, contentType: "text/plain; charset=utf-8", body: []byte(text + "\n")}
}

// bounded serves answers, a few at a time and to readers that read.
func bounded(f func(*http.Request) answer) http.Handler {
	slots := make(chan struct{}, maxAtOnce)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a answer
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			if len(r.URL.RawQuery) > maxQuery {
				a = plain(http.StatusRequestURITooLong, "the query is too long")
			} else {
				a = f(r)
			}
		default:
			w.Header().Set("Retry-After", "1")
			a = plain(http.StatusServiceUnavailable, "too many requests at once")
		}
		h := w.Header()
		h.Set("Content-Type", a.contentType)
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if a.file != "" {
			h.Set("Content-Disposition", `attachment; filename="`+a.file+`"`)
		}
		if a.status == 0 {
			a.status = http.StatusOK
		}
		c := http.NewResponseController(w)
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // what cannot do it has a deadline of its own, or none
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // a reader that has left needs no answer
		_ = c.Flush()
		_ = c.SetWriteDeadline(time.Time{}) // the connection's next answer begins anew
	})
}
