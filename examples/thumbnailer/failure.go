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
	_, died := actor.IsExit(err)
	switch {
	case errors.Is(err, errImage):
		return http.StatusUnprocessableEntity
	case died:
		return http.StatusBadGateway // a worker died with the request in its hands
	case errors.Is(err, actor.ErrNotRunning), errors.Is(err, actor.ErrStopped), errors.Is(err, actor.ErrStopping):
		return http.StatusServiceUnavailable // the service is about to stop
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// explain puts an error into words for whoever has asked. Of a crash it gives
// the first line; the stack is in the log.
func explain(err error) string {
	exit, died := actor.IsExit(err)
	if !died {
		return err.Error()
	}
	how := actor.ExitStatus{Reason: exit.Reason, Code: exit.Code, Signal: exit.Signal, Err: exit.Err}
	first, _, _ := strings.Cut(how.String(), "\n")
	return fmt.Sprintf("worker %s ended: %s; request begun: %v", exit.Path, first, exit.Begun)
}
