package corpus

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// parquetOf writes rows with a schema of the caller's own.
func parquetOf(t testing.TB, schema parquet.Group, rows ...map[string]any) []byte {
	t.Helper()
	return parquetBy(t, &parquet.Snappy, schema, rows...)
}

func parquetBy(t testing.TB, codec compress.Codec, schema parquet.Group, rows ...map[string]any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&b, parquet.NewSchema("s", schema), parquet.MaxRowsPerRowGroup(2), parquet.Compression(codec))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestParquetColumnsAreReadAsTheKeysOfJSONL(t *testing.T) {
	str := parquet.String()
	message := parquet.Group{"role": str, "content": parquet.Optional(str), "name": parquet.Optional(str)}
	at := time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)
	for name, c := range map[string]struct {
		schema parquet.Group
		rows   []map[string]any
		o      Options
		want   List
	}{
		"messages": {parquet.Group{"messages": parquet.List(message), "id": parquet.Int(64), "tags": parquet.List(str)},
			[]map[string]any{
				{"messages": []any{map[string]any{"role": "user", "content": "é"}, map[string]any{"role": "assistant", "content": "a"}}, "id": int64(1), "tags": []any{"x", "y"}},
				{"messages": []any{map[string]any{"role": "user", "content": "b", "name": "n"}}, "id": int64(2), "tags": []any{}},
				{"messages": []any{map[string]any{"role": "user", "content": "c"}}, "id": int64(3), "tags": []any{"z"}},
			}, Options{}, List{
				doc("user", "é", "assistant", "a").with("id", "1", "tags", `["x","y"]`),
				doc("user", "b").with("id", "2", "tags", `[]`, "messages", `[{"content":"b","name":"n","role":"user"}]`),
				doc("user", "c").with("id", "3", "tags", `["z"]`),
			}},
		"JSON text": {parquet.Group{"messages": str}, []map[string]any{{"messages": ` [{"role":"user","content":"u"}]`}}, Options{}, List{doc("user", "u")}},
		"prompt and completion": {parquet.Group{"prompt": str, "completion": str, "score": parquet.Optional(parquet.Leaf(parquet.DoubleType))},
			[]map[string]any{{"prompt": "p", "completion": "c", "score": 0.25}, {"prompt": "q", "completion": "d"}}, Options{},
			List{doc("user", "p", "assistant", "c").with("score", "0.25"), doc("user", "q", "assistant", "d")}},
		"text and types": {parquet.Group{"text": str, "t": parquet.Timestamp(parquet.Millisecond), "j": parquet.JSON(), "b": parquet.Leaf(parquet.BooleanType), "u": parquet.Uint(32), "f": parquet.Leaf(parquet.FloatType), "d": parquet.Decimal(2, 9, parquet.Int32Type), "m": parquet.Map(str, parquet.Int(64))},
			[]map[string]any{{"text": "x", "t": at.UnixMilli(), "j": `{"k":[1]}`, "b": true, "u": uint32(math.MaxUint32), "f": float32(0.1), "d": int32(-5), "m": map[string]any{"k": int64(1)}}}, Options{},
			List{doc("assistant", "x").with("t", `"2026-02-03T04:05:06.789Z"`, "j", `{"k":[1]}`, "b", "true", "u", "4294967295", "f", "0.1", "d", "-0.05", "m", `{"k":1}`)}},
		"fields and where": {parquet.Group{"q": str, "a": str, "k": parquet.Int(32)},
			[]map[string]any{{"q": "1", "a": "2", "k": int32(0)}, {"q": "3", "a": "4", "k": int32(1)}},
			Options{Fields: map[string]string{"user": "q", "assistant": "a"}, Where: map[string]string{"k": "1"}}, List{doc("user", "3", "assistant", "4").with("k", "1")}},
	} {
		t.Run(name, func(t *testing.T) {
			data := parquetOf(t, c.schema, c.rows...)
			got, err := Parse("x.parquet", bytes.NewReader(data), c.o)
			if err != nil {
				t.Fatal(err)
			}
			sameDocs(t, got, c.want)
			streamed := 0
			for _, err := range Read(struct{ *bytes.Buffer }{bytes.NewBuffer(data)}, Options{Format: Parquet, Fields: c.o.Fields}) {
				if err != nil {
					t.Fatal(err)
				}
				streamed++
			}
			if streamed != len(c.rows) {
				t.Errorf("%d rows from a stream without random access, want %d", streamed, len(c.rows))
			}
		})
	}
}

// Pages that shrink to a hundredth are where a decoder runs out of its buffer.
func TestEveryCodecGivesTheTextOrIsRefused(t *testing.T) {
	text := strings.Repeat("All work and no play makes a dull page. ", 50_000)
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Brotli, &parquet.Zstd, &parquet.Lz4Raw} {
		data := parquetBy(t, codec, parquet.Group{"text": parquet.String()}, map[string]any{"text": text}, map[string]any{"text": "b"})
		list, err := Parse("x.parquet", bytes.NewReader(data), Options{})
		if codec == &parquet.Lz4Raw {
			if err == nil || !strings.Contains(err.Error(), "column text is compressed by LZ4_RAW") {
				t.Errorf("LZ4: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", codec, err)
		}
		sameDocs(t, list, List{doc("assistant", text), doc("assistant", "b")})
	}
}

func TestParquetFaultsNameRowAndColumn(t *testing.T) {
	str := parquet.String()
	for name, c := range map[string]struct {
		schema parquet.Group
		rows   []map[string]any
		want   string
	}{
		"NaN":       {parquet.Group{"text": str, "n": parquet.Leaf(parquet.DoubleType)}, []map[string]any{{"text": "a", "n": 1.0}, {"text": "b", "n": math.NaN()}}, `x.parquet:2: column "n": holds NaN, which JSON cannot; write null`},
		"bytes":     {parquet.Group{"text": str, "n": parquet.Leaf(parquet.ByteArrayType)}, []map[string]any{{"text": "a", "n": []byte("\xff")}}, `x.parquet:1: column "n": holds bytes that are not UTF-8 text`},
		"not JSON":  {parquet.Group{"text": str, "n": parquet.JSON()}, []map[string]any{{"text": "a", "n": "{"}}, `column "n": is not JSON`},
		"no layout": {parquet.Group{"body": str}, []map[string]any{{"body": "a"}}, `x.parquet:1: has neither "messages"`},
		"role":      {parquet.Group{"messages": parquet.List(parquet.Group{"role": str, "content": str})}, []map[string]any{{"messages": []any{map[string]any{"role": "bot", "content": "x"}}}}, `x.parquet:1: messages[0]: role: "bot"`},
		"no rows":   {parquet.Group{"text": str}, nil, "x.parquet: is empty"},
	} {
		_, err := Parse("x.parquet", bytes.NewReader(parquetOf(t, c.schema, c.rows...)), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Damage anywhere in a Parquet file gives documents or an error, never a panic.
func FuzzParquet(f *testing.F) {
	f.Add(write(f, Parquet, List{doc("user", "x", "assistant", "y").with("k", "[1]"), doc("assistant", "z")}), uint16(0), byte(0))
	f.Add(parquetOf(f, parquet.Group{"text": parquet.String(), "t": parquet.Optional(parquet.List(parquet.Int(64)))}, map[string]any{"text": "a", "t": []any{int64(1), int64(2)}}), uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, flip byte) {
		if int(at) < len(data) {
			data = bytes.Clone(data)
			data[at] ^= flip
		}
		docs, err := Parse("x.parquet", bytes.NewReader(data), Options{})
		if err == nil && len(docs) == 0 {
			t.Fatal("no documents and no error")
		}
	})
}

// Every byte of a small file, damaged in two ways.
func TestADamagedParquetFileNeverPanics(t *testing.T) {
	data := write(t, Parquet, List{doc("user", "x", "assistant", "y").with("k", "[1]"), doc("assistant", "z")})
	for at := range data {
		for _, flip := range []byte{0x01, 0xff} {
			damaged := bytes.Clone(data)
			damaged[at] ^= flip
			Parse("x.parquet", bytes.NewReader(damaged), Options{})
		}
		Parse("x.parquet", bytes.NewReader(data[:at]), Options{})
	}
}
