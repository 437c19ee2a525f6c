// Crashy: an HTTP service around C code that crashes, hangs, leaks or exits on
// certain inputs. Each of them costs one request.
package main

/*
#include <stdlib.h>
#include <string.h>

static int decode(const char *in, int n) {
	char first = n > 0 ? in[0] : 0;
	if (first == '!') *(volatile int *)0 = 1; // it crashes,
	while (first == '~') ;                    // hangs,
	if (first == '?') exit(7);                // exits,
	if (first == '+') memset(malloc(4 << 20), 1, 4 << 20); // and leaks
	int sum = 0;
	for (int i = 0; i < n; i++) sum = sum * 31 + in[i];
	return sum & 0x7fffffff;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

type decoder struct{}

func newDecoder(context.Context, actor.None) (*decoder, error) { return &decoder{}, nil }

func (*decoder) Decode(_ context.Context, in []byte) (int, error) {
	return int(C.decode((*C.char)(unsafe.Pointer(unsafe.SliceData(in))), C.int(len(in)))), nil
}

var Decoders = actor.Define("decoder", newDecoder)
var Decode = actor.DefineMethod(Decoders, "decode", (*decoder).Decode)

// Pool is all there is to say about the workers.
var Pool = supervisor.Pool{
	Run: Decoders.With(actor.None{}), Min: 2, Max: 4,
	KillGrace: 100 * time.Millisecond,
	Recycle:   supervisor.Recycle{Memory: 64 << 20},
}

func main() {
	actor.Main()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "decoders", Run: Pool}}})
	if err != nil {
		log.Fatal(err)
	}
	decoders := Decoders.Ref(tree, "decoders")
	http.HandleFunc("POST /decode", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		in, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		sum := 0
		if err == nil {
			sum, err = Decode.Call(ctx, decoders, in)
		}
		var exit *actor.ExitError
		switch {
		case err == nil:
			fmt.Fprintln(w, sum)
		case errors.As(err, &exit): // the input, not the service
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		default:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if info, err := tree.Child("decoders"); err != nil || !info.Running {
			http.Error(w, "no decoders", http.StatusServiceUnavailable)
		}
	})
	listener, err := net.Listen("tcp", "localhost:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	server := &http.Server{}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	_ = server.Serve(listener)
	_ = tree.Stop(context.Background())
}
