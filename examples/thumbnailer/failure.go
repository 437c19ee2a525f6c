package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/understudy-go/understudy/actor"
)

// statusOf says whose fault an error is.
func statusOf(err error) int {
	var exit *actor.ExitError
	switch {
	case errors.Is(err, errImage):
		return http.StatusUnprocessableEntity
	case errors.As(err, &exit):
		return http.StatusBadGateway // a worker died with the request in its hands
	case errors.Is(err, actor.ErrNotRunning), errors.Is(err, actor.ErrStopped), errors.Is(err, actor.ErrStopping):
		return http.StatusServiceUnavailable // the service is about to stop
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// explain puts an error into words for the client. Of a crash it gives
// the first line; the stack is in the log.
func explain(err error) string {
	var exit *actor.ExitError
	if !errors.As(err, &exit) {
		return err.Error()
	}
	first, _, _ := strings.Cut(exit.ExitStatus.String(), "\n")
	return fmt.Sprintf("worker %s ended: %s; request begun: %v", exit.Path, first, exit.Begun)
}
