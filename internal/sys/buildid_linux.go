package sys

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// SelfImage leads to the image of the process that follows it. Between vfork and exec a child still is its parent's
// image: no file name is looked up, so a replaced or deleted executable restarts as what is running now.
const SelfImage = "/proc/self/exe"

func executableFile() (string, error) { return SelfImage, nil }

// fileNumber tells apart files of equal size and time.
func fileNumber(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return strconv.FormatUint(uint64(st.Dev), 16) + "-" + strconv.FormatUint(st.Ino, 16)
}

// linkerBuildID finds the Go build id in the notes of this executable. It reads the program headers only: package
// debug/elf would load all sections and their names, and every actor does this when it is born.
func linkerBuildID() string {
	f, err := os.Open(SelfImage)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	var header [64]byte // Elf64_Ehdr
	if _, err := f.ReadAt(header[:], 0); err != nil || string(header[:4]) != elf.ELFMAG ||
		header[elf.EI_CLASS] != byte(elf.ELFCLASS64) {
		return ""
	}
	var order binary.ByteOrder = binary.LittleEndian
	if header[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		order = binary.BigEndian
	}
	offset, size, count := int64(order.Uint64(header[32:])), int(order.Uint16(header[54:])), int(order.Uint16(header[56:]))
	if size < 56 || count > 64 {
		return ""
	}
	table := make([]byte, size*count)
	if _, err := f.ReadAt(table, offset); err != nil {
		return ""
	}
	for ; len(table) > 0; table = table[size:] { // Elf64_Phdr
		if elf.ProgType(order.Uint32(table)) != elf.PT_NOTE {
			continue
		}
		at, length := int64(order.Uint64(table[8:])), order.Uint64(table[32:])
		if length > 64<<10 {
			continue
		}
		notes := make([]byte, length)
		if _, err := f.ReadAt(notes, at); err != nil {
			continue
		}
		if id := goNote(notes, order); id != "" {
			return id
		}
	}
	return ""
}

// goNote returns the description of the note named "Go" of type 4 (cmd/link/internal/ld/elf.go).
func goNote(notes []byte, order binary.ByteOrder) string {
	const align = 3
	for len(notes) >= 12 {
		nameLen, descLen, kind := uint64(order.Uint32(notes)), uint64(order.Uint32(notes[4:])), order.Uint32(notes[8:])
		notes = notes[12:]
		namePadded, descPadded := (nameLen+align)&^align, (descLen+align)&^align
		if namePadded+descPadded > uint64(len(notes)) {
			return ""
		}
		if kind == 4 && bytes.Equal(notes[:nameLen], []byte("Go\x00\x00")) {
			return string(notes[namePadded : namePadded+descLen])
		}
		notes = notes[namePadded+descPadded:]
	}
	return ""
}
