package main

import (
	"fmt"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

// A floor carries as many bytes as the messages that it is compared with.
// These are their sizes between two processes of this program, for an id of
// the length that most have.
const typicalID = 1 << 12

// callSizes are those of both messages of a call.
func callSizes(method string, req, resp any) (request, response int, err error) {
	if request, err = requestSize(method, req); err == nil {
		response, err = responseSize(resp)
	}
	return request, response, err
}

func requestSize(method string, v any) (int, error) {
	buf := codec.GetBuffer()
	defer codec.PutBuffer(buf)
	if err := codec.EncodeArgs(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of %s: %w", method, err)
	}
	return len(wire.AppendRequest(nil, typicalID, method, buf.B, nil)), nil
}

func castSize(method string, v any) (int, error) {
	buf := codec.GetBuffer()
	defer codec.PutBuffer(buf)
	if err := codec.EncodeArgs(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of %s: %w", method, err)
	}
	return len(wire.AppendNotify(nil, method, buf.B, nil)), nil
}

func responseSize(v any) (int, error) {
	buf := codec.GetBuffer()
	defer codec.PutBuffer(buf)
	if err := codec.Encode(buf, v, true); err != nil {
		return 0, fmt.Errorf("size of a response: %w", err)
	}
	return len(wire.AppendResponse(nil, typicalID, nil, buf.B, nil)), nil
}
