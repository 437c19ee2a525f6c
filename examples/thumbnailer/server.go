package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Limits of the service.
const (
	maxBody        = 16 << 20         // bytes of an image file
	maxRequests    = 64               // in the service's hands at a time: with maxBody they bound its memory
	requestTimeout = 30 * time.Second // from the last byte of the body to the answer
	drainTimeout   = 10 * time.Second // for the requests under way when the service stops
	defaultWidth   = 128              // pixels
)

// service answers HTTP requests with what a pipeline makes.
type service struct {
	pipeline *Pipeline
	requests chan struct{}
	timeout  time.Duration
}

// serve serves HTTP on the listener until ctx ends, or the pipeline does; then
// it finishes the requests under way.
func serve(ctx context.Context, l net.Listener, p *Pipeline) error {
	srv := &http.Server{
		Handler:           newHandler(p, requestTimeout),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-p.Done():
	case <-ctx.Done():
	}
	fmt.Println("stopping")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		slog.Warn("requests were cut off", "error", errors.Join(err, srv.Close()))
	}
	return nil
}

func newHandler(p *Pipeline, timeout time.Duration) http.Handler {
	s := &service{pipeline: p, requests: make(chan struct{}, maxRequests), timeout: timeout}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /thumb", s.thumb)
	mux.HandleFunc("GET /healthz", s.healthz)
	return mux
}

// thumb answers an image with its thumbnail.
func (s *service) thumb(w http.ResponseWriter, r *http.Request) {
	width, err := parseWidth(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case s.requests <- struct{}{}:
		defer func() { <-s.requests }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests under way", http.StatusServiceUnavailable)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("image of more than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		http.Error(w, "reading the image: "+err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout) // it ends, too, when the client leaves
	defer cancel()
	t, err := s.pipeline.Thumbnail(ctx, data, width)
	if err != nil {
		http.Error(w, explain(err), statusOf(err))
		return
	}
	w.Header().Set("Content-Type", "image/"+t.Format)
	w.Header().Set("Content-Length", strconv.Itoa(len(t.Data)))
	_, _ = w.Write(t.Data) // if the client has left, there is nobody to tell
}

// parseWidth returns the width that the request asks for.
func parseWidth(r *http.Request) (int, error) {
	if !r.URL.Query().Has("w") {
		return defaultWidth, nil
	}
	text := r.URL.Query().Get("w")
	width, err := strconv.Atoi(text)
	if err != nil || width < 1 || width > maxSize {
		return 0, fmt.Errorf("w is %q, want a width of 1 to %d pixels", text, maxSize)
	}
	return width, nil
}

// healthz says who works here, and whether every team can.
func (s *service) healthz(w http.ResponseWriter, _ *http.Request) {
	health := struct {
		Status  string   `json:"status"`
		Workers []Worker `json:"workers"`
	}{Status: "ok"}
	status, healthy := http.StatusOK, false
	if health.Workers, healthy = s.pipeline.Workers(); !healthy {
		health.Status, status = "degraded", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(health) // if the client has left, there is nobody to tell
}
