package corpus

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// inspectRecords gives each sample of an Inspect log as the row that chat JSONL
// would have in its place (see inspectSample.rows). The log is one JSON object
// with a list of samples or, packed, a zip with a file a sample.
func inspectRecords(r io.Reader, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		w := &inspectWalk{yield: yield, limit: limit}
		head := make([]byte, 4)
		b := bufio.NewReaderSize(r, 1<<16)
		peeked, _ := b.Peek(4) // an error comes back with the first read
		copy(head, peeked)
		var err error
		if isZip(head) {
			err = w.unzip(r, b)
		} else {
			err = w.plain(b)
		}
		if err != nil && err != errStopped {
			yield(record{number: w.sample, label: w.label}, err)
		}
	}
}

func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) || bytes.HasPrefix(head, []byte("PK\x05\x06"))
}

// errStopped ends a walk whose reader has enough.
var errStopped = errors.New("stopped")

// inspectWalk goes over the samples of a log.
type inspectWalk struct {
	yield  func(record, error) bool
	limit  int
	sample int    // number of the sample at hand, from 1
	label  string // what it is called
	rows   int
	row    inspectSample
}

// plain reads a log that is one JSON object.
func (w *inspectWalk) plain(r *bufio.Reader) error {
	if head, _ := r.Peek(3); bytes.Equal(head, utf8BOM) {
		r.Discard(3)
	}
	t := newTape(r, w.limit)
	if c, err := t.peek(); err != nil || c != '{' {
		return errors.New("is not an Inspect log, a JSON object with samples; rows of JSON belong in a .jsonl file, one object a line")
	}
	found := false
	err := t.object(func(key string) error {
		if c, err := t.peek(); err != nil || key != "samples" || c == 'n' {
			return errors.Join(err, t.value())
		}
		found = true
		return t.array(func() error { return w.one(t, "") })
	})
	if err != nil {
		return err
	}
	if err := t.end(); err != nil {
		return err
	}
	if !found {
		return errors.New(`has no "samples", so it is no Inspect log, or only the header of one; write the log with its samples`)
	}
	return nil
}

// Bounds of what a packed log may unpack to, so that a hostile one can exhaust
// neither memory nor disk: JSON of this kind shrinks to a tenth or a fiftieth.
const (
	unpackedFloor = 1 << 30
	unpackedRatio = 200
)

// unzip reads a packed log. r is the stream that b has begun to read.
func (w *inspectWalk) unzip(r io.Reader, b *bufio.Reader) error {
	var all io.Reader = b
	if _, random := r.(io.ReaderAt); random {
		if _, seeks := r.(io.Seeker); seeks {
			all = r
		}
	}
	at, size, release, err := readerAt(all)
	if err != nil {
		return err
	}
	defer release()
	archive, err := zip.NewReader(at, size)
	if err != nil {
		return fmt.Errorf("the zip directory at its end is missing or damaged (%w); the log is cut off, fetch it again", err)
	}
	archive.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)))
	budget := int64(unpackedFloor) + unpackedRatio*size
	found := false
	for _, f := range archive.File {
		if path.Dir(f.Name) != "samples" || path.Ext(f.Name) != ".json" {
			continue
		}
		found = true
		if err := w.entry(f, &budget); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("holds no samples/….json, so it is no Inspect log, or one without a finished sample")
	}
	return nil
}

func (w *inspectWalk) entry(f *zip.File, budget *int64) error {
	w.label = strings.TrimSuffix(path.Base(f.Name), ".json")
	r, err := f.Open()
	if err == nil {
		defer r.Close()
		t := newTape(&budgeted{r, budget}, w.limit)
		if err = w.one(t, w.label); err == nil {
			err = t.end() // at the end the checksum is compared
		}
	}
	switch {
	case errors.Is(err, zip.ErrAlgorithm):
		return fmt.Errorf("is compressed by method %d, which is not known; known are deflate and zstd", f.Method)
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errCutOff):
		return fmt.Errorf("is cut off or damaged (%w); fetch the log again", err)
	}
	return err
}

// budgeted reads within a budget that several readers share.
type budgeted struct {
	r    io.Reader
	left *int64
}

func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return 0, fmt.Errorf("the log unpacks to more than %d times its size, which no log does; unpack it and look at it", unpackedRatio)
	}
	return n, err
}

// one takes a sample off the tape and yields its rows.
func (w *inspectWalk) one(t *tape, label string) error {
	w.sample++
	w.label = label
	err := w.row.read(t)
	if id := w.row.called(); id != "" {
		w.label = id
	}
	if err == nil {
		err = w.row.rows(func(row []byte) error {
			w.rows++
			if !w.yield(record{row, int64(w.rows), w.sample, w.label}, nil) {
				return errStopped
			}
			return nil
		})
	}
	return err
}
