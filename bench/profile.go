package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"

	"github.com/understudy-go/understudy/actor"
)

// StartProfile writes a CPU profile of the actor's process into a file.
func (s *subject) StartProfile(_ context.Context, path string) (actor.None, error) {
	f, err := startProfile(path)
	s.profile = f
	return actor.None{}, err
}

// StopProfile ends it.
func (s *subject) StopProfile(context.Context, actor.None) (actor.None, error) {
	if s.profile == nil {
		return actor.None{}, errors.New("no profile was started")
	}
	pprof.StopCPUProfile()
	return actor.None{}, s.profile.Close()
}

var (
	profileOn  = actor.DefineMethod(subjects, "start profile", (*subject).StartProfile)
	profileOff = actor.DefineMethod(subjects, "stop profile", (*subject).StopProfile)
)

func startProfile(path string) (*os.File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("profile: %w", err)
	}
	return f, nil
}

// startProfile profiles both ends of the calls, if dir says where to. It
// returns what ends the profiles.
func (b *bed) startProfile(ctx context.Context, dir string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	if _, err := profileOn.Call(ctx, b.ref, filepath.Join(dir, "actor.pprof")); err != nil {
		return nil, err
	}
	f, err := startProfile(filepath.Join(dir, "bench.pprof"))
	if err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		_, err := profileOff.Call(context.WithoutCancel(ctx), b.ref, actor.None{})
		return errors.Join(err, f.Close())
	}, nil
}
