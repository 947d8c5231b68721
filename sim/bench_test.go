package sim

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// urns is a study of urn lineages that publish and learn 100 documents.
func urns(b *testing.B, lineages, generations, documents int) *Study {
	dir := slotDir(b, documents, documents*3/10)
	slotSource(b, dir, "prompt.jsonl", 1, 0)
	return compiled(b, dir, slot+`
line:
  backend: urn
  corpus: {preset: replace, human: web}
  publish: {prompts: prompt}
  probe: {draws: 0}
lines: {main: {}}
arms: {control: }
`, Override{"sources.prompt", "{file: prompt.jsonl}"}, Override{"replicates", fmt.Sprint(lineages)}, Override{"generations", fmt.Sprint(generations)}, Override{"line.corpus.size", fmt.Sprint(documents)})
}

func timed(b *testing.B, s *Study) time.Duration {
	started := time.Now()
	if err := (&Runner{Study: s, Ledger: new(lineage.Memory), Workers: runtime.NumCPU()}).Run(context.Background()); err != nil {
		b.Fatal(err)
	}
	return time.Since(started)
}

// BenchmarkRunner is 2,000 lineages of 100 generations of 100 documents, drawn,
// trained on, sampled, scored and recorded.
func BenchmarkRunner(b *testing.B) {
	const lineages, generations, documents = 2000, 100, 100
	for range b.N {
		took := timed(b, urns(b, lineages, generations, documents))
		b.ReportMetric(lineages*generations*documents/took.Seconds(), "documents/s")
	}
}

// BenchmarkCost doubles generations, replicates and documents in turn: a cost
// that is linear doubles with them.
func BenchmarkCost(b *testing.B) {
	base := [3]int{200, 20, 200}
	for range b.N {
		timed(b, urns(b, base[0], base[1], base[2])) // warm
		one := timed(b, urns(b, base[0], base[1], base[2]))
		for i, axis := range []string{"replicates", "generations", "documents"} {
			more := base
			more[i] *= 4
			b.ReportMetric(timed(b, urns(b, more[0], more[1], more[2])).Seconds()/one.Seconds()/4, axis+"-slope")
		}
	}
}

// BenchmarkMillion is one generation of 10^6 documents, published and learned.
func BenchmarkMillion(b *testing.B) {
	for range b.N {
		s := urns(b, 1, 2, 1_000_000)
		runtime.GC()
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			most := uint64(0)
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
		timed(b, s)
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "MB-peak")
	}
}

// BenchmarkLineagesOnCores trains four small transformers on two cores: side by
// side with one core each, which is what the runner does while there are enough of
// them, and one after the other with both.
func BenchmarkLineagesOnCores(b *testing.B) {
	text := slot + `
generations: 1
replicates: 4
lines:
  main:
    backend: {kind: transformer, preset: nano, tokenizer: bytes, context: 64, scratch: {steps: 20}}
    corpus: {size: 60, preset: replace, human: web/everyday}
    publish: {prompts: web/prompts, size: 1, max_tokens: 1}
`
	for name, workers := range map[string]int{"side by side": 2, "one after the other": 1} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				s := compiled(b, slotDir(b, 5, 1), text)
				if err := (&Runner{Study: s, Ledger: new(lineage.Memory), Workers: workers, Cores: 2}).Run(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
