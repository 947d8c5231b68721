package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// record is one row or text as it stands in a stream.
type record struct {
	data   []byte // valid until the next record
	at     int64  // offset of data in the stream
	number int    // of its first line, or of the row in Parquet or the sample; from 1
	label  string // what errors call it beside its number, "" where that is all
}

// located is an error with the place that it is about.
type located struct {
	name   string // "" where the stream has none
	number int    // 0 where the whole file is meant
	err    error
}

func (e *located) Error() string {
	switch {
	case e.number == 0 && e.name == "":
		return "corpus: " + e.err.Error()
	case e.number == 0:
		return e.name + ": " + e.err.Error()
	case e.name == "":
		return fmt.Sprintf("line %d: %v", e.number, e.err)
	}
	return fmt.Sprintf("%s:%d: %v", e.name, e.number, e.err)
}

func (e *located) Unwrap() error { return e.err }

// records cuts a stream of plain bytes into records. With an error comes a
// record that says where it happened.
func records(r io.Reader, format Format, limit int) iter.Seq2[record, error] {
	switch format {
	case Inspect:
		return inspectRecords(r, limit)
	case Whole:
		return wholeRecord(r, limit)
	case Paragraphs:
		return paragraphRecords(r, limit)
	}
	return lineRecords(r, limit)
}

// lineReader reads lines of bounded length.
type lineReader struct {
	r      *bufio.Reader
	limit  int
	long   []byte // a line that does not fit the buffer of r
	at     int64  // offset of the line that next reads
	number int    // of the line that next has read
}

var (
	utf8BOM    = []byte("\xef\xbb\xbf")
	errTooLong = errors.New("too long")
)

func newLineReader(r io.Reader, limit int) (*lineReader, error) {
	l := &lineReader{r: bufio.NewReaderSize(r, 1<<18), limit: limit}
	head, _ := l.r.Peek(3) // an error comes back with the first line
	switch {
	case bytes.Equal(head, utf8BOM):
		l.r.Discard(3)
		l.at = 3
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), bytes.HasPrefix(head, []byte{0xff, 0xfe}):
		return nil, errors.New("is UTF-16; save the file as UTF-8")
	}
	return l, nil
}

// next gives the next line with its end, valid until the call after it.
func (l *lineReader) next() (line []byte, at int64, err error) {
	l.number++
	at = l.at
	l.long = l.long[:0]
	for {
		piece, err := l.r.ReadSlice('\n')
		l.at += int64(len(piece))
		if len(l.long)+len(piece) > l.limit+len("\r\n") {
			return nil, at, errTooLong
		}
		switch {
		case err == bufio.ErrBufferFull:
			l.long = append(l.long, piece...)
			continue
		case err == io.EOF && len(l.long)+len(piece) > 0:
			err = nil // the last line needs no end
		}
		if len(l.long) > 0 {
			piece = append(l.long, piece...)
			l.long = piece
		}
		return piece, at, err
	}
}

func chomp(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

func tooLong(limit int) error {
	return fmt.Errorf("is longer than %d bytes; break it up, or raise max_line_bytes", limit)
}

func lineRecords(r io.Reader, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		l, err := newLineReader(r, limit)
		if err != nil {
			yield(record{}, err)
			return
		}
		for {
			line, at, err := l.next()
			if err == io.EOF {
				return
			}
			line = chomp(line)
			if err == errTooLong || len(line) > limit {
				err = tooLong(limit)
			}
			if err == nil && blank(line) {
				continue
			}
			if !yield(record{data: line, at: at, number: l.number}, err) || err != nil {
				return
			}
		}
	}
}

// paragraphRecords gives runs of lines that are not blank.
func paragraphRecords(r io.Reader, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		l, err := newLineReader(r, limit)
		if err != nil {
			yield(record{}, err)
			return
		}
		var text []byte
		var at int64
		first := 0
		for {
			line, lineAt, err := l.next()
			if err != nil && err != io.EOF && err != errTooLong {
				yield(record{number: l.number}, err)
				return
			}
			if end := err == io.EOF || err == nil && blank(line); end && len(text) > 0 {
				if !yield(record{data: chomp(text), at: at, number: first}, nil) {
					return
				}
				text = text[:0]
			} else if !end {
				if len(text) == 0 {
					at, first = lineAt, l.number
				}
				if text = append(text, line...); err == errTooLong || len(chomp(text)) > limit {
					yield(record{number: first}, tooLong(limit))
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

func wholeRecord(r io.Reader, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		l, err := newLineReader(r, limit)
		if err != nil {
			yield(record{}, err)
			return
		}
		text, err := io.ReadAll(io.LimitReader(l.r, int64(limit)+1))
		if err == nil && len(text) > limit {
			err = tooLong(limit)
		}
		if err != nil || !blank(text) {
			yield(record{data: text, at: l.at, number: 1}, err)
		}
	}
}
