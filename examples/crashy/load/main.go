// Load sends good and bad inputs to the service crashy, and checks that each
// good one is answered right.
//
//	go run ./examples/crashy/load -crashing 0.1 http://localhost:8080
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

var (
	clients  = flag.Int("clients", 50, "clients")
	length   = flag.Duration("for", 60*time.Second, "how long")
	crashing = flag.Float64("crashing", 0.1, "share of inputs that crash, exit or leak")
	hanging  = flag.Float64("hanging", 0, "share of inputs that hang")
)

// want is what the service makes of an input.
func want(in []byte) string {
	sum := int32(0)
	for _, b := range in {
		sum = sum*31 + int32(int8(b))
	}
	return fmt.Sprint(sum & 0x7fffffff)
}

func main() {
	flag.Parse()
	url := flag.Arg(0) + "/decode"
	end := time.Now().Add(*length)
	var mu sync.Mutex
	var took []time.Duration
	bad, wrong := 0, 0
	var wait sync.WaitGroup
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = *clients
	for range *clients {
		wait.Go(func() {
			for time.Now().Before(end) {
				in := fmt.Appendf(nil, "input %d", rand.Uint64())
				dice := rand.Float64()
				guilty := dice < *crashing+*hanging
				switch {
				case dice < *hanging:
					in[0] = '~'
				case guilty:
					in[0] = "!?"[rand.IntN(2)]
				case dice > 0.99:
					in[0] = '+' // it leaks, and is answered
				}
				began := time.Now()
				text, err := post(url, in)
				mu.Lock()
				switch {
				case guilty:
					bad++
				case err != nil || text != want(in):
					wrong++
					fmt.Fprintf(os.Stderr, "%s: %q, want %s, %v\n", in, text, want(in), err)
				default:
					took = append(took, time.Since(began))
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(took)
	fmt.Printf("%d answered right, %.0f a second, %d bad inputs, %d wrong", len(took), float64(len(took))/length.Seconds(), bad, wrong)
	if n := len(took); n > 0 {
		fmt.Printf("; p50 %v, p99 %v", took[n/2], took[n*99/100])
	}
	fmt.Println()
	if wrong > 0 || len(took) == 0 {
		os.Exit(1)
	}
}

func post(url string, in []byte) (string, error) {
	r, err := http.Post(url, "application/octet-stream", bytes.NewReader(in))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", r.Status)
	}
	return strings.TrimSpace(string(text)), err
}
