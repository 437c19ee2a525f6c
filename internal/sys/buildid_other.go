//go:build !linux

package sys

import (
	"io/fs"
	"os"
)

func executableFile() (string, error) { return os.Executable() }

func fileNumber(fs.FileInfo) string { return "" }

func linkerBuildID() string { return "" }
