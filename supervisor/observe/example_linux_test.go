//go:build linux

package observe_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/understudy-go/understudy/supervisor"
	"github.com/understudy-go/understudy/supervisor/observe"
)

// A service mounts the handler where its probes and its operators come.
func ExampleHandler() {
	ctx := context.Background()
	tree, err := supervisor.Start(ctx, supervisor.Spec{
		Children: []supervisor.Child{{Name: "front", Run: clerks.With(flag{})}},
	}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tree.Stop(ctx)
	mux := http.NewServeMux()
	mux.Handle("/", observe.Handler(tree))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	fmt.Print(w.Code, " ", w.Body)
	fmt.Println(tree.StopChild(ctx, "front")) // on request: it is not missed
	fmt.Println(observe.Ready(ctx, tree))
	// Output:
	// 200 ok
	// <nil>
	// <nil>
}
