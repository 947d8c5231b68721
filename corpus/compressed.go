package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what a zstd frame may ask the decoder to hold.
const maxWindow = 128 << 20

// decompressed tells gzip and zstd by their first bytes, which no UTF-8 text
// starts with, and gives the plain bytes. packed says whether there was
// anything to undo; release gives the decoder's memory back.
func decompressed(r io.Reader) (plain io.Reader, packed bool, release func(), err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, _ := b.Peek(4) // an error comes back with the first read
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, true, nil, damaged("gzip", err)
		}
		return &unpacker{z, "gzip"}, true, func() {}, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, true, nil, damaged("zstd", err)
		}
		return &unpacker{z, "zstd"}, true, z.Close, nil
	}
	return b, false, func() {}, nil
}

func damaged(kind string, err error) error {
	return fmt.Errorf("the %s data is cut off or damaged (%w); fetch the file again", kind, err)
}

// unpacker says of a fault that the compressed data is at fault.
type unpacker struct {
	r    io.Reader
	kind string
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if err != nil && err != io.EOF {
		err = damaged(u.kind, err)
	}
	return n, err
}

// spool is a temporary file for plain bytes that are read at random later.
type spool struct {
	*os.File
	w    *bufio.Writer
	size int64
}

func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "heirloom-corpus-*")
	if err != nil {
		return nil, err
	}
	// Where the system allows it the name goes at once, so that not even a
	// crash leaves the file behind.
	os.Remove(f.Name())
	return &spool{File: f, w: bufio.NewWriterSize(f, 1<<18)}, nil
}

func (s *spool) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.size += int64(n)
	return n, err
}

func (s *spool) Close() error {
	err := s.File.Close()
	os.Remove(s.Name())
	return err
}

// readerAt gives random access to r, through a spool where r has none.
func readerAt(r io.Reader) (at io.ReaderAt, size int64, release func(), err error) {
	if f, ok := r.(interface {
		io.ReaderAt
		io.Seeker
	}); ok {
		if size, err := f.Seek(0, io.SeekEnd); err == nil {
			return f, size, func() {}, nil
		}
	}
	s, err := newSpool()
	if err != nil {
		return nil, 0, nil, err
	}
	if _, err = io.Copy(s, r); err == nil {
		err = s.w.Flush()
	}
	if err != nil {
		s.Close()
		return nil, 0, nil, err
	}
	return s.File, s.size, func() { s.Close() }, nil
}
