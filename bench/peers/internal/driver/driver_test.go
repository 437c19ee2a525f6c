package driver

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Peer {
	p, err := Start(exec.Command("sh", "-c", script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

func TestRound(t *testing.T) {
	p := start(t, `while read word n pause; do echo "$n $pause"; done`)
	took, err := p.Round(2, 5*time.Millisecond)
	if err != nil || took[0] != 2 || took[1] != 5000 {
		t.Errorf("%v, %v", took, err)
	}
	if took, err := (Streamer{start(t, `while read word n; do echo "$n"; done`)}).Stream(7); took != 7 || err != nil {
		t.Errorf("%v, %v", took, err)
	}
}

func TestWrongAnswers(t *testing.T) {
	for script, want := range map[string]string{
		`read line; echo 1 2 3; read line`:        "3 numbers, want 2",
		`read line; echo 1 x; read line`:          "no number",
		`read line; echo 1 -1; read line`:         "no number",
		`read line; echo wrong reply >&2; exit 1`: "wrong reply",
		`exit 3`: "exit status 3",
	} {
		if _, err := start(t, script).Round(2, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", script, err, want)
		}
	}
}

func TestWhoDoesNotEndIsKilled(t *testing.T) {
	p := start(t, `trap '' TERM; while :; do sleep 0.1; done`)
	p.Stop()
	if !p.process.Ended() {
		t.Error("it runs")
	}
}
