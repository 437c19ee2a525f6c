package runtime

import (
	"context"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// adminOrder is an admin call of the supervisor at a path.
type adminOrder struct {
	Path string `msgpack:"path"`
	Args []byte `msgpack:"args,omitempty"` // as package supervisor wants them
}

// Administrator carries out an admin call of the supervisor at a path, which
// runs in this process if it runs at all.
type Administrator func(ctx context.Context, s *System, path string, args []byte) ([]byte, error)

// administrator is set by an init function only.
var administrator Administrator = func(_ context.Context, _ *System, path string, _ []byte) ([]byte, error) {
	return nil, fmt.Errorf("supervisor %s: %w", path, actor.ErrNotFound)
}

// RegisterAdministrator is for an init function: see [System.Administer].
func RegisterAdministrator(f Administrator) { administrator = f }

// RegisterError has an error found by errors.Is in other processes, too. It is
// for init functions.
func RegisterError(name string, err error) { wellKnown[name] = err }

// Administer has the process in which the supervisor at path runs carry out an
// admin call.
func (s *System) Administer(ctx context.Context, path string, args []byte) ([]byte, error) {
	to := s.owner(joinPath(path, "$"))
	if to == nil {
		return administrator(ctx, s, path, args)
	}
	r, err := request(ctx, to, ctlAdmin, codec.ControlParams(adminOrder{Path: path, Args: args}))
	if err != nil {
		return nil, err
	}
	defer r.Drop()
	var a questionAnswer
	err = codec.DecodeResult(r.Result, &a)
	return a.Body, err
}

func (s *controlServer) admin(m *conn.Incoming) {
	answer(s, m, func(ctx context.Context, o adminOrder) (any, error) {
		body, err := s.sys.Administer(ctx, o.Path, o.Args)
		return questionAnswer{body}, err
	})
}

func joinPath(base, name string) string {
	if base == "/" {
		return "/" + name
	}
	return base + "/" + name
}
