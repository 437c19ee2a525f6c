package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestExample(t *testing.T) {
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import msgpack, numpy").CombinedOutput(); err != nil {
		t.Skipf("%s with python3-msgpack and python3-numpy is missing (apt-get install python3 python3-msgpack python3-numpy): %v\n%s", python, err, out)
	}
	leaktest.Check(t)
	dir := t.TempDir()
	p := program.Start(t, "-python="+python, "-out="+dir)
	p.Line("/filter-1 blurred image 0: its contrast is ")
	p.Line("/filter-2 blurred image 1: its contrast is ")
	p.Line("/filter-1 crashed: signal")
	p.Line("/filter-1 blurred image 4: its contrast is ")
	p.Line("/filter-2 blurred image 5: its contrast is ")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "blurred-5.png")); err != nil {
		t.Error(err)
	}
}
