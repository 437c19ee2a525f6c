package main

import (
	"bytes"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

// serveProgram starts the program as a service.
func serveProgram(t *testing.T, args ...string) (*program.Program, site) {
	t.Helper()
	p := program.Start(t, args...)
	_, url, _ := strings.Cut(p.Line("serving on "), "serving on ")
	return p, site{t, url}
}

// TestService: asked to stop, it finishes what it has begun, stops all workers
// and leaves with exit status 0.
func TestService(t *testing.T) {
	for name, signal := range map[string]os.Signal{"interrupt": os.Interrupt, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			leaktest.Check(t)
			p, s := serveProgram(t)
			s.post("/thumb?w=10", testdata(t, "video-001.jpeg")).expect(t, http.StatusOK)
			h := newHold(t)
			held := s.begin("/thumb", h.data)
			h.begun()
			p.Signal(signal)
			p.Line("stopping")
			h.release()
			(<-held).expect(t, http.StatusOK)
			if code := p.Wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// TestServiceGivesUp: a service whose workers cannot be kept alive ends, and
// says why.
func TestServiceGivesUp(t *testing.T) {
	leaktest.Check(t)
	p, s := serveProgram(t, "-workers=1", "-restarts=1")
	for { // each costs a decoder
		if a := s.post("/thumb", []byte("PANIC:")); a.err != nil || a.status == http.StatusServiceUnavailable {
			break
		}
	}
	if code := p.Wait(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	if out := p.Output(); !strings.Contains(out, "thumbnailer: supervisor / gave up") {
		t.Errorf("it does not say why")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestFolder(t *testing.T) {
	leaktest.Check(t)
	in, out := testdataDir(t), filepath.Join(t.TempDir(), "new", "thumbnails")
	p := program.Start(t, "-in", in, "-out", out, "-w", "50")
	p.Line("37 images: 37 thumbnails, 0 failed; ")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if !strings.Contains(p.Output(), "[==============================] 37/37") {
		t.Error("no progress bar that comes to its end")
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 37 {
		t.Errorf("%d thumbnails: %v", len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(out, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if c, _, err := image.DecodeConfig(bytes.NewReader(data)); err != nil || c.Width != 50 {
			t.Errorf("%s is %d pixels wide: %v", f.Name(), c.Width, err)
		}
	}
}

// write puts a file into a folder.
func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFolderWithFailures: an image that cannot be decoded is an image's fault;
// a decoder that dies is not the exit status of a clean run.
func TestFolderWithFailures(t *testing.T) {
	leaktest.Check(t)
	png := testdata(t, "video-001.png")
	in, out := t.TempDir(), t.TempDir()
	write(t, in, "good.PNG", png)
	write(t, in, "half.png", png[:len(png)/2])
	write(t, in, "notes.txt", nil)

	p := program.Start(t, "-in", in, "-out", out)
	p.Line("half.png: cannot decode the image: png: invalid format: not enough pixel data")
	p.Line("2 images: 1 thumbnails, 1 failed; ")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}

	write(t, in, "deadly.gif", []byte("PANIC:"))
	p = program.Start(t, "-in", in, "-out", out)
	p.Line("deadly.gif: worker /decoders/", "panic: what an image; request begun: yes")
	p.Line("3 images: 1 thumbnails, 2 failed; ")
	if code := p.Wait(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != 1 || files[0].Name() != "good.PNG.thumb.png" {
		t.Errorf("made %v: %v", files, err)
	}
}

// TestFolderInterrupted: the decoder does not let go, and still ^C ends it.
func TestFolderInterrupted(t *testing.T) {
	leaktest.Check(t)
	in, out, h := t.TempDir(), t.TempDir(), newHold(t)
	write(t, in, "held.png", h.data)
	p := program.Start(t, "-in", in, "-out", out)
	h.begun()
	p.Signal(os.Interrupt)
	p.Line("1 images: 0 thumbnails, 0 failed, 1 not tried; ")
	if code := p.Wait(); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

func TestFlags(t *testing.T) {
	leaktest.Check(t)
	dir := t.TempDir()
	for _, c := range []struct {
		args  []string
		code  int
		words string
	}{
		{[]string{"-in", dir}, 2, "-in and -out go together"},
		{[]string{"-in", dir, "-out", dir, "-w", "0"}, 2, "-w 0"},
		{[]string{"-workers", "0"}, 2, "-workers 0"},
		{[]string{"-pixels", "-1"}, 2, "-pixels -1"},
		{[]string{"-restarts", "0"}, 2, "-restarts 0"},
		{[]string{"pictures"}, 2, `unexpected argument "pictures"`},
		{[]string{"-in", dir, "-out", dir}, 1, "want another folder"},
		{[]string{"-in", filepath.Join(dir, "none"), "-out", dir}, 1, "no such file"},
		{[]string{"-addr", "256.0.0.1:1"}, 1, "256.0.0.1"},
	} {
		p := program.Start(t, c.args...)
		if code := p.Wait(); code != c.code || !strings.Contains(p.Output(), c.words) {
			t.Errorf("%q: exit status %d, want %d and %q", c.args, code, c.code, c.words)
		}
	}
}
