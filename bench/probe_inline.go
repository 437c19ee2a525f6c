package main

import (
	"context"
	"fmt"
)

// envelopeRoom is left of the largest message that travels in the stream, so
// that it is one with its envelope.
const envelopeRoom = 1 << 10

// openInline measures bytes that travel in the stream, there and back.
func openInline(size int) func(context.Context, *bed) (session, error) {
	return func(_ context.Context, b *bed) (session, error) {
		payload := make([]byte, size)
		if size == 4<<20 { // the limit of a message in the stream
			payload = payload[:size-envelopeRoom]
		}
		for i := range payload {
			payload[i] = byte(i)
		}
		floor, err := floorOf("echo", payload, payload)
		if err != nil {
			return nil, err
		}
		measure := func(ctx context.Context) (map[string]reading, error) {
			ours, raw, err := turns(b.budget, side{peer: b.pid, op: func() error {
				got, err := echo.Call(ctx, b.ref, payload)
				if err == nil && (len(got) != len(payload) || got[len(got)-1] != payload[len(payload)-1]) {
					err = fmt.Errorf("echo of %d bytes: %d came back, or others", len(payload), len(got))
				}
				return err
			}}, floor.side())
			if err != nil {
				return nil, err
			}
			return map[string]reading{"inline/" + sizeName(size): {ours.at(0.5), raw.at(0.5)}}, nil
		}
		return sessionFuncs{measure, floor.close}, nil
	}
}
