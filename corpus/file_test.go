package corpus

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func fileWith(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string, o Options) *File {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func zstded(s string) []byte {
	var b bytes.Buffer
	w, _ := zstd.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

// rows gives n chat rows of different lengths, with a transcript among them.
func rows(n int) string {
	var b strings.Builder
	for i := range n {
		if i%3 == 2 {
			b.WriteString(transcript + "\r\n")
		} else {
			fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"%s\n"}],"id":%d}`+"\n\n", i, strings.Repeat("a", i%50), i)
		}
	}
	return b.String()
}

// A file read at random is the file read in order, in every format, packed or
// not, whole or split, by several goroutines at once.
func TestOpenGivesTheDocumentsOfRead(t *testing.T) {
	plain := rows(60)
	list := parse(t, "x.jsonl", plain, Options{})
	for name, c := range map[string]struct {
		data []byte
		o    Options
	}{
		"a.jsonl":      {[]byte("\xef\xbb\xbf" + plain), Options{}},
		"b.jsonl":      {[]byte(plain), Options{Turns: 2}},
		"c.jsonl":      {[]byte(plain), Options{Turns: 3, Max: 17}},
		"d.jsonl.gz":   {gzipped(plain), Options{}},
		"e.jsonl.zst":  {zstded(plain), Options{Turns: 1}},
		"f.parquet":    {write(t, Parquet, list), Options{}},
		"g.parquet":    {write(t, Parquet, list), Options{Turns: 2, Max: 20}},
		"h.txt":        {[]byte("a\r\nb\n\n\nc"), Options{}},
		"i.txt":        {[]byte("\n\na\r\nb\n\n\nc\n"), Options{Format: Paragraphs}},
		"j.txt":        {[]byte("\xef\xbb\xbfa\r\nb\n\n\nc\n"), Options{Format: Whole}},
		"k.parquet.gz": {[]byte(plain), Options{Format: JSONL}}, // not packed, whatever it is called
		"l.jsonl":      {[]byte(plain), Options{Where: map[string]string{"id": "3"}}},
	} {
		want, err := Parse(name, bytes.NewReader(c.data), c.o)
		if err != nil {
			t.Fatal(err)
		}
		f := open(t, fileWith(t, name, c.data), c.o)
		if f.Len() != len(want) {
			t.Fatalf("%s: %d documents, want %d", name, f.Len(), len(want))
		}
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for k := range want {
					i := (k*7 + w) % len(want)
					got, err := f.Document(i)
					if err != nil || !reflect.DeepEqual(got, want[i]) {
						t.Errorf("%s: document %d is %v, %v; want %v", name, i, got, err, want[i])
						return
					}
				}
			})
		}
		wg.Wait()
		for _, i := range []int{-1, len(want)} {
			if _, err := f.Document(i); err == nil {
				t.Errorf("%s: document %d was given", name, i)
			}
		}
	}
}

func TestDigestIsOfBytesAndOfOptionsThatDecide(t *testing.T) {
	path := fileWith(t, "a.jsonl", []byte(rows(9)))
	digest := func(path string, o Options) string { return open(t, path, o).Digest() }
	base := digest(path, Options{})
	if got := digest(fileWith(t, "other.jsonl", []byte(rows(9))), Options{MaxLineBytes: 1 << 20}); got != base {
		t.Error("the digest depends on the name or on a bound that changes no document")
	}
	seen := map[string]string{base: "the default"}
	for name, o := range map[string]Options{
		"turns": {Turns: 2}, "max": {Max: 2}, "label": {Turns: 2, Label: "x"}, "label max": {Turns: 2, Label: "x", LabelMax: ptr(0)}, "where": {Where: map[string]string{"id": "0"}},
	} {
		d := digest(path, o)
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
	// Max stops reading before the end, and the end still counts.
	if digest(path, Options{Max: 1}) == digest(fileWith(t, "a.jsonl", []byte(rows(9)+" ")), Options{Max: 1}) {
		t.Error("a byte beyond the last document kept does not count")
	}
}

func TestOpenReportsFaults(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "none.jsonl"):                               "none.jsonl: no such file",
		fileWith(t, "bad.jsonl", []byte("{\"text\":\"a\"}\n{\n")):      "bad.jsonl:2: byte 2:",
		fileWith(t, "cut.jsonl.gz", gzipped(rows(50))[:200]):           "the gzip data is cut off",
		fileWith(t, "cut.jsonl.zst", zstded(rows(50))[:100]):           "the zstd data is cut off",
		fileWith(t, "bad.parquet", []byte(strings.Repeat("PAR1", 10))): "bad.parquet: is not a Parquet file",
		fileWith(t, "empty.parquet", nil):                              "empty.parquet: is not a Parquet file that can be read (it has 0 bytes",
		fileWith(t, "x.bin", nil):                                      "does not tell the format",
	} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if _, err := Open(dir, Options{Format: Chat}); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
}

func TestAChangedFileIsNoticed(t *testing.T) {
	path := fileWith(t, "a.jsonl", []byte(rows(9)))
	f := open(t, path, Options{})
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Document(3); err == nil || !strings.Contains(err.Error(), "document 3 has changed") {
		t.Error(err)
	}
	os.Truncate(path, 10)
	if _, err := f.Document(3); err == nil {
		t.Error("a document was read from a truncated file")
	}
}

func TestSpoolsAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	path := fileWith(t, "a.jsonl.gz", gzipped(rows(9)))
	for _, o := range []Options{{}, {Format: Lines, MaxLineBytes: 5}} {
		if f, err := Open(path, o); err == nil {
			f.Close()
		}
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}

// bigFile writes chat rows of about 1 kB up to the given size.
func bigFile(t testing.TB, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "big.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	answer := strings.Repeat(`It said \"nothing\", and that was that.\n`, 22)
	var b bytes.Buffer
	for i := 0; size > 0; i++ {
		b.Reset()
		fmt.Fprintf(&b, `{"messages": [{"role": "user", "content": "Question %d?"}, {"role": "assistant", "content": "%s"}], "id": %d}`+"\n", i, answer, i)
		size -= b.Len()
		if _, err := f.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Opening a file of 64 MB allocates less than 8 MB in all, and the open file
// holds less than 4 MB: the index is 16 bytes a document.
func TestOpenHoldsOnlyAnIndex(t *testing.T) {
	path := bigFile(t, 64<<20)
	var before, opened, held runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := open(t, path, Options{})
	runtime.ReadMemStats(&opened)
	runtime.GC()
	runtime.ReadMemStats(&held)
	if f.Len() < 60_000 {
		t.Fatalf("only %d documents", f.Len())
	}
	if n := opened.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("opening allocated %d bytes", n)
	}
	if n := int64(held.HeapAlloc) - int64(before.HeapAlloc); n > 4<<20 {
		t.Errorf("the open file holds %d bytes", n)
	}
	t.Logf("%d documents: %d bytes allocated, %d held", f.Len(), opened.TotalAlloc-before.TotalAlloc, int64(held.HeapAlloc)-int64(before.HeapAlloc))
	if d, err := f.Document(f.Len() / 2); err != nil || len(d.Messages) != 2 {
		t.Error(d, err)
	}
}

func BenchmarkOpen(b *testing.B) {
	const size = 256 << 20
	path := bigFile(b, size)
	b.SetBytes(size)
	for b.Loop() {
		f, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkRead(b *testing.B) {
	const size = 64 << 20
	data, err := os.ReadFile(bigFile(b, size))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		for _, err := range Read(bytes.NewReader(data), Options{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDocument(b *testing.B) {
	f := open(b, bigFile(b, 64<<20), Options{})
	s := NewShuffle(keyOf(1), f.Len())
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := f.Document(s.Draw(i)); err != nil {
			b.Fatal(err)
		}
	}
}
