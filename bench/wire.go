package main

import (
	"fmt"

	"github.com/understudy-go/understudy/mailbox"
)

// A floor carries as many bytes as the messages that it is compared with.
// These are their sizes between two processes of this program, for an id of
// the length that most have.
const typicalID = 1 << 12

func requestSize(method string, v any) (int, error) {
	buf := mailbox.GetBuffer()
	defer mailbox.PutBuffer(buf)
	if err := mailbox.EncodeArgs(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of %s: %w", method, err)
	}
	return len(mailbox.AppendRequest(nil, typicalID, method, buf.B, nil)), nil
}

func castSize(method string, v any) (int, error) {
	buf := mailbox.GetBuffer()
	defer mailbox.PutBuffer(buf)
	if err := mailbox.EncodeArgs(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of %s: %w", method, err)
	}
	return len(mailbox.AppendNotify(nil, method, buf.B, nil)), nil
}

func responseSize(v any) (int, error) {
	buf := mailbox.GetBuffer()
	defer mailbox.PutBuffer(buf)
	if err := mailbox.Encode(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of a response: %w", err)
	}
	return len(mailbox.AppendResponse(nil, typicalID, nil, buf.B, nil)), nil
}
