package work

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"
)

// Codec writes notes as MessagePack arrays: the codec that Understudy has, used
// by hand and with nothing around it.
type Codec struct {
	buf bytes.Buffer
	src bytes.Reader
	enc *msgpack.Encoder
	dec *msgpack.Decoder
}

// NewCodec returns a codec for one goroutine.
func NewCodec() *Codec {
	c := &Codec{}
	c.enc = msgpack.NewEncoder(&c.buf)
	c.enc.UseArrayEncodedStructs(true)
	c.dec = msgpack.NewDecoder(&c.src)
	return c
}

// Encode returns n encoded. It is good until the next call.
func (c *Codec) Encode(n Note) ([]byte, error) {
	c.buf.Reset()
	err := c.enc.Encode(&n)
	return c.buf.Bytes(), err
}

// Decode reads a note.
func (c *Codec) Decode(b []byte) (n Note, err error) {
	c.src.Reset(b)
	err = c.dec.Decode(&n)
	return n, err
}
