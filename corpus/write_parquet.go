package corpus

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// rowGroupBytes bounds what the Parquet writer holds before it writes a row
// group.
const rowGroupBytes = 32 << 20

// parquetSchema is messages, a list of role and content, and extra, a JSON
// object or null. Its leaf columns stand in the order of their names.
var parquetSchema = parquet.NewSchema("document", parquet.Group{
	"messages":  parquet.List(parquet.Group{"content": parquet.String(), "role": parquet.String()}),
	extraColumn: parquet.Optional(parquet.JSON()),
})

const (
	extraLeaf = iota
	contentLeaf
	roleLeaf
)

// parquetWriter puts the values of a row together by itself: the schema is
// fixed, and going through Go structs costs reflection on every document.
type parquetWriter struct {
	//lint:ignore SA1019 the generic writer loses optional JSON columns
	w    *parquet.Writer
	row  parquet.Row
	held int
	n    int
}

func newParquetWriter(w io.Writer) *parquetWriter {
	return &parquetWriter{w: parquet.NewWriter(w, parquetSchema, parquet.Compression(&parquet.Zstd))}
}

func (w *parquetWriter) Write(d Document) error {
	err := check(d)
	if err == nil {
		w.build(d)
		_, err = w.w.WriteRows([]parquet.Row{w.row})
	}
	if err == nil && w.held >= rowGroupBytes {
		w.held = 0
		err = w.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("document %d: %w", w.n, err)
	}
	w.n++
	return nil
}

// build puts the document's values into w.row. Each has its repetition level,
// 0 where a list starts, and its definition level, 1 where it is there.
func (w *parquetWriter) build(d Document) {
	w.row = w.row[:0]
	put := func(text string, repetition, leaf int) {
		w.row = append(w.row, parquet.ByteArrayValue([]byte(text)).Level(repetition, 1, leaf))
		w.held += len(text)
	}
	if len(d.Extra) > 0 {
		put(extraObject(d), 0, extraLeaf)
	} else {
		w.row = append(w.row, parquet.NullValue().Level(0, 0, extraLeaf))
	}
	for i, m := range d.Messages {
		put(m.Content, min(i, 1), contentLeaf)
	}
	for i, m := range d.Messages {
		put(m.Role, min(i, 1), roleLeaf)
	}
}

// extraObject is the extra column of a document: a JSON object with its keys
// sorted, and messages where they hold more than role and content.
func extraObject(d Document) string {
	out := []byte{'{'}
	for _, key := range slices.Sorted(maps.Keys(d.Extra)) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(appendString(out, key), ':')
		if key == "messages" {
			out = appendMessages(out, d)
		} else {
			out = append(out, d.Extra[key]...)
		}
	}
	return string(append(out, '}'))
}

func (w *parquetWriter) Close() error { return w.w.Close() }
