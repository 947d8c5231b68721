package corpus

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// extraColumn is the column of JSON objects in which the Parquet writer keeps
// what is not a message; its keys count as keys of the row.
const extraColumn = "extra"

// parquetRecords gives each row of a Parquet file as the JSON object that JSONL
// would have in its place. Null columns are left out, as Parquet cannot tell
// null from absent.
func parquetRecords(r io.ReaderAt, size int64, limit int) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		var file *parquet.File
		var root *column
		err := guarded(func() (err error) {
			if err := checkFooter(r, size); err != nil {
				return err
			}
			if file, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true)); err != nil {
				return err
			}
			if err := checkCodecs(file); err != nil {
				return err
			}
			root, err = newColumn(file.Root(), true, 0, 0, new(int))
			return err
		})
		if err != nil {
			yield(record{}, err)
			return
		}
		row := rowEncoder{root: root, names: names{}, limit: limit}
		number := 0
		for _, group := range file.RowGroups() {
			if !row.group(group, &number, yield) {
				return
			}
		}
	}
}

// checkFooter looks at the length of the footer, for which the decoder would
// take memory whatever the size of the file.
func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return fmt.Errorf("it has %d bytes, too few for a footer", size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("it does not end with PAR1")
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:4])); n > size-12 {
		return fmt.Errorf("its footer of %d bytes is longer than the file of %d", n, size)
	}
	return nil
}

// checkCodecs refuses LZ4, which parquet-go 0.32 reads as zeros where a page
// shrinks to less than a third, and does not stop reading where it is damaged.
func checkCodecs(file *parquet.File) error {
	for _, group := range file.Metadata().RowGroups {
		for _, c := range group.Columns {
			switch codec := c.MetaData.Codec; codec {
			case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd:
			default:
				return fmt.Errorf("column %s is compressed by %v, which is not supported: choose zstd, snappy or gzip", strings.Join(c.MetaData.PathInSchema, "."), codec)
			}
		}
	}
	return nil
}

// guarded turns a panic of the Parquet decoder, which corrupt files cause, into
// an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
		if err != nil && !errors.As(err, new(*rowError)) {
			err = fmt.Errorf("is not a Parquet file that can be read (%w); write it again", err)
		}
	}()
	return f()
}

// rowError is a fault of what a row holds, not of the file around it.
type rowError struct{ err error }

func (e *rowError) Error() string { return e.err.Error() }
func (e *rowError) Unwrap() error { return e.err }

type rowEncoder struct {
	root   *column
	names  names
	limit  int
	values [][]parquet.Value // of the row, by leaf column
	extra  object
	json   []byte
	out    []byte
}

// group yields the rows of a row group, and tells whether to go on.
func (e *rowEncoder) group(group parquet.RowGroup, number *int, yield func(record, error) bool) bool {
	var rows parquet.Rows
	if err := guarded(func() error { rows = group.Rows(); return nil }); err != nil {
		return yield(record{}, err) && false
	}
	defer guarded(rows.Close)
	buf := make([]parquet.Row, 1)
	for left := group.NumRows(); left > 0; left-- {
		*number++
		err := guarded(func() error {
			n, err := rows.ReadRows(buf)
			if n == 0 {
				return fmt.Errorf("%d rows are missing at its end: %w", left, cmp.Or(err, io.ErrNoProgress))
			}
			return e.encode(buf[0])
		})
		if !yield(record{data: e.out, at: int64(*number), number: *number}, err) || err != nil {
			return false
		}
	}
	return true
}

// encode writes the row into e.out.
func (e *rowEncoder) encode(row parquet.Row) error {
	e.values = slices.Grow(e.values[:0], e.root.leaves)[:e.root.leaves]
	clear(e.values)
	row.Range(func(i int, values []parquet.Value) bool {
		e.values[i] = values
		return true
	})
	e.extra.members = e.extra.members[:0]
	for i := range e.root.children {
		if c := &e.root.children[i]; c.name == extraColumn && c.json {
			if err := e.readExtra(c); err != nil {
				return &rowError{fmt.Errorf("column %q: %w", c.name, err)}
			}
		}
	}
	e.out = append(e.out[:0], '{')
	for i := range e.root.children {
		if err := e.field(&e.root.children[i]); err != nil {
			return err
		}
	}
	for _, m := range e.extra.members {
		e.key(m.key)
		e.out = append(e.out, m.value...)
	}
	e.out = append(e.out, '}')
	if len(e.out) > e.limit {
		return &rowError{tooLong(e.limit)}
	}
	return nil
}

func (e *rowEncoder) key(name string) {
	if len(e.out) > 1 {
		e.out = append(e.out, ',')
	}
	e.out = append(appendString(e.out, name), ':')
}

// readExtra takes the extra column off the row when it holds an object.
func (e *rowEncoder) readExtra(c *column) error {
	values := e.values[c.first]
	if len(values) != 1 || c.absent(e.values) {
		return nil
	}
	e.json = append(e.json[:0], values[0].ByteArray()...)
	s := &scanner{data: e.json}
	if s.peek() != '{' {
		return nil
	}
	e.values[c.first] = nil
	return e.extra.parse(s, e.names)
}

// field writes one column. The messages of the extra column stand before the
// others: they hold what a struct of role and content cannot.
func (e *rowEncoder) field(c *column) error {
	if len(e.values[c.first]) == 0 && c.name == extraColumn {
		return nil
	}
	if c.absent(e.values) && !c.repeated || c.name == "messages" && e.extra.get(c.name) != nil {
		return nil
	}
	e.key(c.name)
	var err error
	if e.out, err = c.append(e.out, e.values); err != nil {
		return &rowError{fmt.Errorf("column %q: %w", c.name, err)}
	}
	return nil
}
