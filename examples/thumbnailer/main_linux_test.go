package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// Two formats for images that do to their decoder what an image should not.
// They are registered in the test binary, and so in its decoders.
func init() {
	config := func(io.Reader) (image.Config, error) {
		return image.Config{ColorModel: color.RGBAModel, Width: 1, Height: 1}, nil
	}
	image.RegisterFormat("hold", "HOLD:", func(r io.Reader) (image.Image, error) {
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return image.NewRGBA(image.Rect(0, 0, 1, 1)), holdDecoder(strings.TrimPrefix(string(data), "HOLD:"))
	}, config)
	image.RegisterFormat("panic", "PANIC:", func(r io.Reader) (image.Image, error) { panic("what an image") }, config)
}

// holdDecoder says that it has begun by opening one pipe, and goes on when
// another is opened.
func holdDecoder(dir string) error {
	begun, err := os.OpenFile(filepath.Join(dir, "begun"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	begun.Close()
	release, err := os.Open(filepath.Join(dir, "release"))
	if err != nil {
		return err
	}
	return release.Close()
}

// hold is an image on which a decoder works until it is released.
type hold struct {
	t    *testing.T
	dir  string
	data []byte
}

func newHold(t *testing.T) hold {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"begun", "release"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return hold{t, dir, []byte("HOLD:" + dir)}
}

// begun waits until a decoder is at work on the image.
func (h hold) begun() {
	h.t.Helper()
	f, err := os.Open(filepath.Join(h.dir, "begun"))
	if err != nil {
		h.t.Fatal(err)
	}
	f.Close()
}

// release lets the decoder that is at work finish.
func (h hold) release() {
	h.t.Helper()
	f, err := os.OpenFile(filepath.Join(h.dir, "release"), os.O_WRONLY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	f.Close()
}

// testdata returns an image that comes with the Go toolchain.
func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdataDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goroot is where the Go toolchain is.
var goroot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
})

func testdataDir(t testing.TB) string {
	t.Helper()
	root, err := goroot()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "src", "image", "testdata")
}

// newPipeline starts a pipeline of processes for a test.
func newPipeline(t *testing.T, workers int) *Pipeline {
	t.Helper()
	p, err := startPipeline(t.Context(), pipelineOptions{workers: workers, maxPixels: 1 << 20, restarts: 100})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// worker returns the process id of a worker.
func worker(t *testing.T, p *Pipeline, path string) int {
	t.Helper()
	list, _ := p.Workers()
	for _, w := range list {
		if w.Path == path {
			return w.PID
		}
	}
	t.Fatalf("no worker %s in %v", path, list)
	return 0
}

// site is the service for a test, with its pipeline behind it.
type site struct {
	t   *testing.T
	url string
}

func newSite(t *testing.T, p *Pipeline, timeout time.Duration) site {
	t.Helper()
	srv := httptest.NewServer(newHandler(p, timeout))
	t.Cleanup(srv.Close)
	return site{t, srv.URL}
}

// answer is what a request got.
type answer struct {
	status int
	kind   string // its content type
	body   []byte
	err    error
}

// post sends an image to the path.
func (s site) post(path string, data []byte) answer { return post(s.t.Context(), s.url+path, data) }

// begin sends an image and returns before the answer is there.
func (s site) begin(path string, data []byte) <-chan answer {
	c := make(chan answer, 1)
	go func() { c <- s.post(path, data) }()
	return c
}

func post(ctx context.Context, url string, data []byte) (a answer) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return answer{err: err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a.status, a.kind = resp.StatusCode, resp.Header.Get("Content-Type")
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

// expect checks the status, and that the body has the words.
func (a answer) expect(t *testing.T, status int, words ...string) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	if a.status != status {
		t.Errorf("status %d, want %d: %.300s", a.status, status, a.body)
	}
	for _, w := range words {
		if !strings.Contains(string(a.body), w) {
			t.Errorf("answer %.300q does not say %q", a.body, w)
		}
	}
}
