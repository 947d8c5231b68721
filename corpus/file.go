package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
)

// File is a Pool of the documents of a file. It holds where each document
// stands, 16 bytes a document, and reads documents when they are asked for. A
// compressed or Parquet file, or an Inspect log, is unpacked once into a
// temporary file. The file must not change while it is open.
type File struct {
	name     string
	digest   string
	source   io.ReaderAt // what the index points into
	file     *os.File
	spool    *spool // nil where source is the file
	index    []entry
	decoders sync.Pool
}

// entry is where a document stands.
type entry struct {
	at   int64
	size uint32
	last int32 // the message that it ends with, or whole
}

// Open reads the file once, validates every row and keeps an index. The first
// fault is an error of the form "FILE:LINE: what was expected and the way out".
func Open(path string, o Options) (*File, error) {
	d, err := newDecoder(path, o)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{name: path, file: file, source: file}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		err = &located{path, 0, errors.New("is a directory; name one file in it")}
		return nil, errors.Join(err, f.Close())
	}
	if err := f.build(d); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.decoders.New = func() any { return &reading{d: d.clone()} }
	return f, nil
}

// build fills the index and the digest in one pass.
func (f *File) build(d *decoder) error {
	sum := sha256.New()
	all, release, err := f.stream(d, sum)
	if err != nil {
		return &located{f.name, 0, err}
	}
	defer release()
	previous := int64(-1)
	var at int64
	for h, err := range d.walk(f.name, all) {
		if err != nil {
			return err
		}
		if h.record.at != previous {
			previous, at = h.record.at, h.record.at
			if d.format.rewritten() {
				at = f.spool.size
				f.spool.Write(h.record.data) // Flush reports what fails
			}
		}
		f.index = append(f.index, entry{at, uint32(len(h.record.data)), h.last})
	}
	if f.spool != nil {
		f.source = f.spool
		if err := f.spool.w.Flush(); err != nil {
			return &located{f.name, 0, fmt.Errorf("unpacking into a temporary file failed: %w", err)}
		}
	}
	if _, err := io.Copy(sum, f.file); err != nil { // what Max or Parquet left unread
		return &located{f.name, 0, err}
	}
	sum.Write([]byte{0})
	sum.Write(d.o.canonical())
	f.digest = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// stream opens the records of the file: plain bytes go to sum as they are read,
// unpacked ones into the spool.
func (f *File) stream(d *decoder, sum hash.Hash) (all iter.Seq2[record, error], release func(), err error) {
	if d.format == Parquet {
		if f.spool, err = newSpool(); err != nil {
			return nil, nil, err
		}
		info, err := f.file.Stat()
		if err != nil {
			return nil, nil, err
		}
		return parquetRecords(f.file, info.Size(), d.o.maxLine()), func() {}, nil
	}
	if d.format == Inspect {
		return f.streamInspect(d, sum)
	}
	plain, packed, release, err := decompressed(io.TeeReader(f.file, sum))
	if err != nil {
		return nil, nil, err
	}
	if packed {
		if f.spool, err = newSpool(); err != nil {
			release()
			return nil, nil, err
		}
		plain = io.TeeReader(plain, f.spool)
	}
	return records(plain, d.format, d.o.maxLine()), release, nil
}

// streamInspect opens the samples of a log, whose rows go into the spool.
func (f *File) streamInspect(d *decoder, sum hash.Hash) (all iter.Seq2[record, error], release func(), err error) {
	if f.spool, err = newSpool(); err != nil {
		return nil, nil, err
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, nil, err
	}
	head := make([]byte, 4)
	if n, _ := f.file.ReadAt(head, 0); isZip(head[:n]) {
		return inspectRecords(io.NewSectionReader(f.file, 0, info.Size()), d.o.maxLine()), func() {}, nil
	}
	plain, _, release, err := decompressed(io.TeeReader(f.file, sum))
	if err != nil {
		return nil, nil, err
	}
	return inspectRecords(plain, d.o.maxLine()), release, nil
}

// Len is the number of documents.
func (f *File) Len() int { return len(f.index) }

// Digest is the SHA-256 of the file's bytes and the options that decide its
// documents, in hexadecimal digits.
func (f *File) Digest() string { return f.digest }

// Close releases the file; Document fails after it.
func (f *File) Close() error {
	err := f.file.Close()
	if f.spool != nil {
		err = errors.Join(err, f.spool.Close())
	}
	return err
}

// reading is what one goroutine needs to read a document.
type reading struct {
	d   *decoder
	buf []byte
}

// maxKept is the largest buffer that waits for the next document.
const maxKept = 1 << 20

// Document reads document i, with Origin.Index set. It may be called by several
// goroutines at once.
func (f *File) Document(i int) (Document, error) {
	if i < 0 || i >= len(f.index) {
		return Document{}, fmt.Errorf("%s: document %d is not within [0, %d)", f.name, i, len(f.index))
	}
	e := f.index[i]
	r := f.decoders.Get().(*reading)
	defer func() {
		if cap(r.buf) <= maxKept {
			f.decoders.Put(r)
		}
	}()
	if cap(r.buf) < int(e.size) {
		r.buf = make([]byte, e.size)
	}
	buf := r.buf[:e.size]
	if n, err := f.source.ReadAt(buf, e.at); n < len(buf) {
		return Document{}, fmt.Errorf("%s: document %d: %w", f.name, i, err)
	}
	if err := r.d.parse(buf); err != nil {
		return Document{}, fmt.Errorf("%s: document %d has changed since the file was opened: %w", f.name, i, err)
	}
	if !slices.Contains(r.d.kept, e.last) {
		return Document{}, fmt.Errorf("%s: document %d has changed since the file was opened: it is no longer one that the options keep", f.name, i)
	}
	doc := r.d.document(e.last)
	doc.Origin.Index = i
	return doc, nil
}
