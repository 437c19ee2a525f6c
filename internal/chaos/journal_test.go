package chaos_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// The journal is one file that all processes append to, one write(2) for each
// record: what is in it survives whoever wrote it, and the order of the file
// is an order in which things happened.

// entry says what a record is about.
type entry uint8

const (
	entryBorn  entry = iota + 1 // a constructor runs: Process, Actor, Self, PID, Time
	entrySend                   // a message is about to be sent: Process, Stream, To, Seq, Op
	entrySent                   // the send, or the call, has ended: Outcome, Inc
	entryBegin                  // a handler was entered: the message's key, Actor, Self
	entryEnd                    // it is about to return
	entryDone                   // Process has ended all its sends and is alive: an account can be asked of it
	entryBad                    // something was wrong on the spot: Outcome is a fault
)

// record is one entry. Which fields mean something depends on Entry.
type record struct {
	Entry   entry
	Op      operation
	Outcome uint8
	Stream  uint32 // a goroutine that sends: one order
	To      uint16 // role of the receiver
	Self    uint16 // role of the writer
	Process uint64 // the sending process: a random number
	Actor   uint64 // the receiving incarnation: a random number
	Seq     uint64 // counts from 1 for each process, stream and receiver
	Time    int64  // ns since 1970
	PID     uint32
	Inc     actor.Incarnation
}

const recordSize = 72

func (r *record) encode() []byte {
	b := make([]byte, recordSize)
	b[0], b[1], b[2] = byte(r.Entry), byte(r.Op), r.Outcome
	le := binary.LittleEndian
	le.PutUint32(b[4:], r.Stream)
	le.PutUint16(b[8:], r.To)
	le.PutUint16(b[10:], r.Self)
	le.PutUint32(b[12:], r.PID)
	le.PutUint64(b[16:], r.Process)
	le.PutUint64(b[24:], r.Actor)
	le.PutUint64(b[32:], r.Seq)
	le.PutUint64(b[40:], uint64(r.Time))
	copy(b[48:], r.Inc[:])
	return b
}

func decodeRecord(b []byte) record {
	le := binary.LittleEndian
	r := record{Entry: entry(b[0]), Op: operation(b[1]), Outcome: b[2], Stream: le.Uint32(b[4:]), To: le.Uint16(b[8:]),
		Self: le.Uint16(b[10:]), PID: le.Uint32(b[12:]), Process: le.Uint64(b[16:]), Actor: le.Uint64(b[24:]),
		Seq: le.Uint64(b[32:]), Time: int64(le.Uint64(b[40:]))}
	copy(r.Inc[:], b[48:])
	return r
}

// phase is what the whole tree is told, through a byte that all can read.
type phase byte

const (
	opening phase = iota // not everybody is there
	storm                // faults happen
	calm                 // no more faults, messages go on
	quiet                // no new messages
)

// journal is one process's access to the file. It is never closed: it belongs
// to the process.
type journal struct {
	log   *os.File
	phase *os.File
}

// self names this process in all its records.
var self = rand.Uint64()

func openJournal(dir string) (*journal, error) {
	log, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	ph, err := os.OpenFile(filepath.Join(dir, "phase"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		log.Close()
		return nil, err
	}
	return &journal{log: log, phase: ph}, nil
}

func (j *journal) close() {
	_, _ = j.log.Close(), j.phase.Close()
}

func (j *journal) write(r record) {
	if _, err := j.log.Write(r.encode()); err != nil {
		panic(fmt.Sprintf("journal: %v", err)) // without the marker of a wanted panic: the test fails
	}
}

// bad notes a fault that its finder can tell at once, and says it on stderr,
// where the test listens for it.
func (j *journal) bad(r record, format string, a ...any) {
	r.Entry = entryBad
	j.write(r)
	fmt.Fprintln(os.Stderr, badMarker, roleName(r.Self), fmt.Sprintf(format, a...))
}

const badMarker = "BAD:"

func (j *journal) now() phase {
	var b [1]byte
	if _, err := j.phase.ReadAt(b[:], 0); err != nil && err != io.EOF {
		return quiet
	}
	return phase(b[0])
}

func (j *journal) set(p phase) error {
	_, err := j.phase.WriteAt([]byte{byte(p)}, 0)
	return err
}

// readJournal returns all records that are in the file now.
func readJournal(dir string) ([]record, error) {
	data, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		return nil, err
	}
	records := make([]record, 0, len(data)/recordSize)
	for ; len(data) >= recordSize; data = data[recordSize:] {
		records = append(records, decodeRecord(data))
	}
	return records, nil
}

func wallClock() int64 { return time.Now().UnixNano() }

func dirOf(j *journal) string { return filepath.Dir(j.log.Name()) }
