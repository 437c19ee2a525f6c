package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/draw"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/internal/leaktest"
)

// expected makes a thumbnail without any actor.
func expected(t testing.TB, data []byte, width int) []byte {
	t.Helper()
	img, format, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	src := newRaster(img.Bounds().Dx(), img.Bounds().Dy())
	draw.Draw(src.rgba(), src.rgba().Rect, img, img.Bounds().Min, draw.Src)
	w, h := fit(src.width, src.height, width, maxSize)
	small, err := newPicture(w, h, format)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Release()
	copy(small.Pix.Data(), mustShrink(t, src, w, h).pix)
	thumb, err := new(encoder).Encode(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	return thumb.Data
}

func TestThumbnails(t *testing.T) {
	leaktest.Check(t)
	s := newSite(t, newPipeline(t, 2), time.Minute)
	files, err := os.ReadDir(testdataDir(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data := testdata(t, f.Name())
		a := s.post("/thumb?w=64", data)
		a.expect(t, http.StatusOK)
		if !bytes.Equal(a.body, expected(t, data, 64)) {
			t.Errorf("%s: another thumbnail than expected", f.Name())
		}
		if _, format, err := image.DecodeConfig(bytes.NewReader(a.body)); err != nil || a.kind != "image/"+format {
			t.Errorf("%s: answered as %q a %s (%v)", f.Name(), a.kind, format, err)
		}
	}
	// Without w it is 128 pixels wide.
	a := s.post("/thumb", testdata(t, "video-001.png"))
	if c, _, err := image.DecodeConfig(bytes.NewReader(a.body)); err != nil || c.Width != defaultWidth {
		t.Errorf("thumbnail %d pixels wide (%v), want %d", c.Width, err, defaultWidth)
	}
}

// bomb is a PNG of a few bytes that claims to be huge.
func bomb(width, height uint32) []byte {
	header := []byte("IHDR\x00\x00\x00\x00\x00\x00\x00\x00\x08\x06\x00\x00\x00")
	binary.BigEndian.PutUint32(header[4:], width)
	binary.BigEndian.PutUint32(header[8:], height)
	data := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header...)
	return binary.BigEndian.AppendUint32(data, crc32.ChecksumIEEE(header))
}

func TestRefusals(t *testing.T) {
	leaktest.Check(t)
	s := newSite(t, newPipeline(t, 1), time.Minute)
	png := testdata(t, "video-001.png")
	gif := append([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00"), make([]byte, 32)...)
	for _, c := range []struct {
		name, path string
		body       []byte
		status     int
		words      string
	}{
		{"truncated", "/thumb?w=64", png[:len(png)/2], http.StatusUnprocessableEntity, "not enough pixel data"},
		{"no image", "/thumb?w=64", []byte("hello"), http.StatusUnprocessableEntity, "unknown format"},
		{"nothing", "/thumb?w=64", nil, http.StatusUnprocessableEntity, "unknown format"},
		{"PNG bomb", "/thumb?w=64", bomb(60000, 60000), http.StatusUnprocessableEntity, "60000×60000 pixels"},
		{"overflowing bomb", "/thumb?w=64", bomb(1<<31-1, 1<<31-1), http.StatusUnprocessableEntity, ""},
		{"GIF bomb", "/thumb?w=64", gif, http.StatusUnprocessableEntity, "65535×65535 pixels"},
		{"too large", "/thumb?w=64", make([]byte, maxBody+1), http.StatusRequestEntityTooLarge, "more than"},
		{"large", "/thumb?w=64", append(bytes.Clone(png), make([]byte, maxBody-len(png))...), http.StatusOK, ""},
		{"width 0", "/thumb?w=0", png, http.StatusBadRequest, `w is "0"`},
		{"no width", "/thumb?w=", png, http.StatusBadRequest, `w is ""`},
		{"width in words", "/thumb?w=wide", png, http.StatusBadRequest, `w is "wide"`},
		{"width too large", "/thumb?w=4097", png, http.StatusBadRequest, "1 to 4096"},
		{"another path", "/thumbs", png, http.StatusNotFound, ""},
		{"another method", "/healthz", png, http.StatusMethodNotAllowed, ""},
	} {
		t.Run(c.name, func(t *testing.T) { s.post(c.path, c.body).expect(t, c.status, c.words) })
	}
}

func TestHealth(t *testing.T) {
	leaktest.Check(t)
	p := newPipeline(t, 2)
	s := newSite(t, p, time.Minute)
	get := func(status int, word string) {
		t.Helper()
		resp, err := http.Get(s.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var health struct {
			Status  string
			Workers []Worker
		}
		if err := json.NewDecoder(resp.Body).Decode(&health); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status || health.Status != word || len(health.Workers) != 6 {
			t.Errorf("status %d: %+v", resp.StatusCode, health)
		}
	}
	get(http.StatusOK, "ok")
	scalers, err := p.tree.Supervisor("scalers")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2"} {
		if err := scalers.StopChild(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	get(http.StatusServiceUnavailable, "degraded")
	s.post("/thumb", testdata(t, "video-001.png")).expect(t, http.StatusServiceUnavailable, "stopped")
}

// TestKilledInMidRequest: the request in the killed worker's hands fails, and
// no other.
func TestKilledInMidRequest(t *testing.T) {
	leaktest.Check(t)
	p := newPipeline(t, 2)
	s, h, png := newSite(t, p, time.Minute), newHold(t), testdata(t, "video-001.png")
	held := s.begin("/thumb", h.data) // the first idle decoder is number 1
	h.begun()
	s.post("/thumb", png).expect(t, http.StatusOK)
	if err := syscall.Kill(worker(t, p, "/decoders/1"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	(<-held).expect(t, http.StatusBadGateway, "worker /decoders/1 ended: signal (killed); request begun: yes")
	for range 4 { // both decoders are there again
		s.post("/thumb", png).expect(t, http.StatusOK)
	}
}

// TestKilledBeforeItBegan: what a worker had not begun, its replacement does.
func TestKilledBeforeItBegan(t *testing.T) {
	leaktest.Check(t)
	p := newPipeline(t, 1)
	s := newSite(t, p, time.Minute)
	for _, path := range []string{"/decoders/1", "/scalers/1", "/encoders/1"} {
		pid := worker(t, p, path)
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil { // it begins nothing from here on
			t.Fatal(err)
		}
		a := s.begin("/thumb", testdata(t, "video-001.png"))
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		(<-a).expect(t, http.StatusOK)
	}
}

func TestPanickingDecoder(t *testing.T) {
	leaktest.Check(t)
	s := newSite(t, newPipeline(t, 1), time.Minute)
	s.post("/thumb", []byte("PANIC:")).expect(t, http.StatusBadGateway, "worker /decoders/1 ended: panic: what an image; request begun: yes\n")
	s.post("/thumb", testdata(t, "video-001.png")).expect(t, http.StatusOK)
}

// TestStuckDecoder: nobody waits for it longer than the timeout, and it does
// not stay in the way.
func TestStuckDecoder(t *testing.T) {
	leaktest.Check(t)
	p := newPipeline(t, 1)
	ctx, giveUp := context.WithCancel(t.Context())
	h := newHold(t)
	stuck := make(chan error, 1)
	go func() {
		_, err := p.Thumbnail(ctx, h.data, 1)
		stuck <- err
	}()
	h.begun()
	giveUp()
	if err := <-stuck; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	s := newSite(t, p, time.Minute)
	s.post("/thumb", testdata(t, "video-001.png")).expect(t, http.StatusOK)
}

func TestTimeout(t *testing.T) {
	leaktest.Check(t)
	s := newSite(t, newPipeline(t, 1), time.Nanosecond)
	s.post("/thumb", testdata(t, "video-001.png")).expect(t, http.StatusGatewayTimeout)
}

func TestTooManyRequests(t *testing.T) {
	s := &service{requests: make(chan struct{})} // not one is allowed
	w := httptest.NewRecorder()
	s.thumb(w, httptest.NewRequest(http.MethodPost, "/thumb", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
}
