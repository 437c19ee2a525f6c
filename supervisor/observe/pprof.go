package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

const (
	defaultSeconds = 30
	maxSeconds     = 120
)

// profiles serves /debug/actors/PATH/pprof/NAME.
func profiles(tree *supervisor.Tree) func(*http.Request) answer {
	return func(r *http.Request) answer {
		rest := strings.TrimPrefix(r.URL.Path, "/debug/actors")
		path, name, ok := cutLast(rest, "/pprof/")
		if !ok || name == "" || strings.Contains(name, "/") {
			return plain(http.StatusNotFound, "want /debug/actors/PATH/pprof/NAME, where NAME is heap, goroutine, allocs, block, mutex, threadcreate, profile or trace")
		}
		if path == "" {
			path = "/"
		}
		order, err := profileOrder(r, name)
		if err != nil {
			return plain(http.StatusBadRequest, err.Error())
		}
		ctx, cancel := context.WithTimeout(r.Context(), order.For+10*time.Second)
		defer cancel()
		body, err := runtime.SystemOf(tree).Profile(ctx, path, order)
		switch {
		case errors.Is(err, actor.ErrNotFound), errors.Is(err, actor.ErrNotRunning):
			return plain(http.StatusNotFound, err.Error())
		case errors.Is(err, errors.ErrUnsupported):
			return plain(http.StatusNotImplemented, err.Error())
		case err != nil:
			return plain(http.StatusServiceUnavailable, err.Error())
		case order.Debug > 0:
			return answer{contentType: "text/plain; charset=utf-8", body: body}
		}
		return answer{contentType: "application/octet-stream", body: body, file: name}
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func profileOrder(r *http.Request, name string) (o runtime.ProfileOrder, err error) {
	q := r.URL.Query()
	number := func(key string, byDefault, most int) int {
		text := q.Get(key)
		if text == "" {
			return byDefault
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < 0 || n > most {
			err = fmt.Errorf("%s is %q, want 0 to %d", key, text, most)
		}
		return n
	}
	o = runtime.ProfileOrder{Name: name, Debug: number("debug", 0, 2), GC: number("gc", 0, 1) == 1}
	if name == "profile" || name == "trace" {
		o.For, o.Debug = time.Duration(number("seconds", defaultSeconds, maxSeconds))*time.Second, 0
	}
	return o, err
}
