package conn

import (
	"errors"
	"testing"

	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// What ends with the connection is not the peer's fault: who asked for it may
// ask again, elsewhere.
func TestFilesEndWithTheConnection(t *testing.T) {
	var files fileTable
	files.init()
	if _, err := files.take(13); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("a token that was never sent: %v, want ErrProtocol", err)
	}
	files.close()
	if _, err := files.take(13); !errors.Is(err, transport.ErrClosed) || errors.Is(err, wire.ErrProtocol) {
		t.Errorf("a token after the end: %v, want ErrClosed", err)
	}
}
