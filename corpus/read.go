package corpus

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// hit is one document that a record gives.
type hit struct {
	record record
	last   int32 // the message that the document ends with, or whole
}

// walk parses records and yields the documents that the options keep; between
// two yields the decoder can build the document. It stops at the first error,
// or at Max, and a stream without a document is an error.
func (d *decoder) walk(name string, all iter.Seq2[record, error]) iter.Seq2[hit, error] {
	return func(yield func(hit, error) bool) {
		rows, kept := 0, 0
		for rec, err := range all {
			if err == nil {
				err = d.parse(rec.data)
			}
			if err != nil {
				if rec.label != "" {
					err = fmt.Errorf("%s: %w", rec.label, err)
				}
				yield(hit{}, &located{name, rec.number, err})
				return
			}
			rows++
			for _, last := range d.kept {
				if !yield(hit{rec, last}, nil) {
					return
				}
				if kept++; kept == d.o.Max {
					return
				}
			}
		}
		if kept == 0 {
			yield(hit{}, &located{name, 0, d.nothing(rows)})
		}
	}
}

// Read yields the documents of r in order, with Origin.Index set, in memory
// bounded by the longest row. It undoes gzip and zstd, and takes r for JSONL
// unless Format says otherwise. The first error, which ends the sequence, is a
// sentence with the line that it is about. r is read once: so is the sequence.
func Read(r io.Reader, o Options) iter.Seq2[Document, error] {
	if o.Format == "" {
		o.Format = JSONL
	}
	return read("", r, o, false)
}

// Parse reads all of r into memory. name stands in errors and, unless Format is
// set, tells the format by its extension.
func Parse(name string, r io.Reader, o Options) (List, error) {
	var all List
	for doc, err := range read(name, r, o, false) {
		if err != nil {
			return nil, err
		}
		all = append(all, doc)
	}
	return all, nil
}

// Stream yields the documents of a file in order, in memory bounded by its
// longest row, with Origin.Row set. Unlike Open it keeps no index, and a fault in the middle comes
// after the documents before it.
func Stream(path string, o Options) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		f, err := os.Open(path)
		if err == nil {
			defer f.Close()
			if info, fault := f.Stat(); fault == nil && info.IsDir() {
				err = &located{path, 0, errors.New("is a directory; name one file in it")}
			}
		}
		if err != nil {
			yield(Document{}, err)
			return
		}
		for doc, err := range read(path, f, o, true) {
			if !yield(doc, err) {
				return
			}
		}
	}
}

func read(name string, r io.Reader, o Options, rows bool) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		d, err := newDecoder(name, o)
		if err != nil {
			yield(Document{}, err)
			return
		}
		all, release, err := d.open(r)
		if err != nil {
			yield(Document{}, &located{name, 0, err})
			return
		}
		defer release()
		index, row, at := 0, -1, int64(-1)
		for h, err := range d.walk(name, all) {
			if err != nil {
				yield(Document{}, err)
				return
			}
			doc := d.document(h.last)
			if h.record.at != at {
				row, at = row+1, h.record.at
			}
			doc.Origin.Index = index
			if rows {
				doc.Origin.Row = row
			}
			if !yield(doc, nil) {
				return
			}
			index++
		}
	}
}

// open gives the records of a stream.
func (d *decoder) open(r io.Reader) (iter.Seq2[record, error], func(), error) {
	if d.format == Parquet {
		at, size, release, err := readerAt(r)
		if err != nil {
			return nil, nil, err
		}
		return parquetRecords(at, size, d.o.maxLine()), release, nil
	}
	if at, random := r.(io.ReaderAt); random && d.format == Inspect {
		head := make([]byte, 4)
		if _, err := at.ReadAt(head, 0); err == nil && isZip(head) {
			return inspectRecords(r, d.o.maxLine()), func() {}, nil
		}
	}
	plain, _, release, err := decompressed(r)
	if err != nil {
		return nil, nil, err
	}
	return records(plain, d.format, d.o.maxLine()), release, nil
}
