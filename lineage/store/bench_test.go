package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// prose is real model text where it is at hand, else words drawn by Zipf's law.
func prose(t testing.TB, size int) string {
	path := filepath.Join("..", "..", "..", "shared", "data", "spiral-bench", "claude-sonnet-4.jsonl")
	if text, err := os.ReadFile(path); err == nil && len(text) > size {
		return string(text[:size])
	}
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 2, 20000)
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "w%x ", zipf.Uint64()*2654435761)
	}
	return b.String()[:size]
}

// BenchmarkLedgerShare writes what a node writes: 20 records of 1 to 100 KB.
// share-% is the time that it takes of a node that trains for 100 ms; what
// memory needs too is not the cost of the disk. "busy" is with the other
// processors at work.
func BenchmarkLedgerShare(b *testing.B) {
	text := prose(b, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	var records []lineage.Raw
	for i := range 20 {
		size := 1<<10 + i*99<<10/19
		at := r.IntN(len(text) - size)
		records = append(records, lineage.Raw(text[at:at+size]))
	}
	run := func(b *testing.B, l lineage.Ledger) {
		nodes := 0
		for b.Loop() {
			for i, data := range records {
				if err := l.Save(lineage.Key(fmt.Sprintf("outputs/%064d/%06d", nodes, i)), data); err != nil {
					b.Fatal(err)
				}
			}
			if err := l.Save(lineage.Key(fmt.Sprintf("node/%064d", nodes)), lineage.Node{}); err != nil {
				b.Fatal(err)
			}
			nodes++
		}
		b.ReportMetric(100*b.Elapsed().Seconds()/float64(nodes)/0.1, "share-%")
	}
	b.Run("memory", func(b *testing.B) { run(b, &lineage.Memory{}) })
	b.Run("store", func(b *testing.B) { run(b, create(b, b.TempDir())) })
	b.Run("store/busy", func(b *testing.B) {
		stop := make(chan struct{})
		defer close(stop)
		for range runtime.GOMAXPROCS(0) - 1 {
			go func() {
				for x := 1.0; ; x *= 1.0000001 {
					select {
					case <-stop:
						return
					default:
					}
				}
			}()
		}
		run(b, create(b, b.TempDir()))
	})
	b.Run("load", func(b *testing.B) {
		s := create(b, b.TempDir())
		size := 0
		for i, data := range records {
			s.Save(lineage.Key(fmt.Sprint(i)), data)
			size += len(data)
		}
		b.SetBytes(int64(size))
		for b.Loop() {
			for i := range records {
				var raw lineage.Raw
				if ok, err := s.Load(lineage.Key(fmt.Sprint(i)), &raw); !ok || err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkCompression is why a record is compressed as it is.
func BenchmarkCompression(b *testing.B) {
	text := []byte(prose(b, 1<<20))
	fastest, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		b.Fatal(err)
	}
	for name, encode := range map[string]func([]byte) []byte{
		"s2":   func(data []byte) []byte { return s2.Encode(nil, data) },
		"zstd": func(data []byte) []byte { return fastest.EncodeAll(data, nil) },
	} {
		for _, size := range []int{1 << 10, 50 << 10} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				at, packed := 0, 0
				for b.Loop() {
					packed += len(encode(text[at : at+size]))
					at = (at + size) % (len(text) - size)
				}
				b.ReportMetric(float64(size)*float64(b.N)/float64(packed), "ratio")
			})
		}
	}
}
