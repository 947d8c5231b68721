//go:build unix

package net

import (
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// workload is a network with batches of uniformly random tokens.
type workload struct {
	name   string
	shape  Shape
	batch  int
	sample int // sequences sampled at once
}

var workloads = []workload{
	{"big", Shape{Layers: 4, Width: 128, Heads: 4, Hidden: 512, Context: 128, Vocab: 1024}, 32, 64},
	{"small", Shape{Layers: 2, Width: 64, Heads: 4, Hidden: 256, Context: 64, Vocab: 512}, 32, 64},
}

func (w workload) sequences() []Sequence {
	chance := stream(1, "benchmark")
	batch := make([]Sequence, w.batch)
	n := w.batch * w.shape.Context
	for i := range batch {
		for range w.shape.Context + 1 {
			batch[i].Tokens = append(batch[i].Tokens, int32(chance.IntN(w.shape.Vocab)))
		}
		for range w.shape.Context {
			batch[i].Weight = append(batch[i].Weight, 1/float32(n))
		}
	}
	return batch
}

// report gives tokens by the clock and by the processor time of all threads, which
// says more on a machine that others use.
func report(b *testing.B, tokens int, before time.Duration) {
	b.ReportMetric(float64(tokens*b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64(tokens*b.N)/(processorTime()-before).Seconds(), "tokens/cpu-s")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkTrain(b *testing.B) {
	for _, w := range workloads {
		for _, threads := range []int{1, 2} {
			b.Run(w.name+"/threads="+strconv.Itoa(threads), func(b *testing.B) {
				p, err := New(w.shape, 1)
				if err != nil {
					b.Fatal(err)
				}
				trainer, err := NewTrainer(p, Options{Threads: threads})
				if err != nil {
					b.Fatal(err)
				}
				batch := w.sequences()
				b.ReportAllocs()
				before := processorTime()
				for b.Loop() {
					if _, err := trainer.Gradient(batch); err != nil {
						b.Fatal(err)
					}
					if _, err := trainer.Update(3e-4); err != nil {
						b.Fatal(err)
					}
				}
				report(b, w.batch*w.shape.Context, before)
			})
		}
	}
}

func BenchmarkSample(b *testing.B) {
	for _, w := range workloads {
		for _, threads := range []int{1, 2} {
			b.Run(w.name+"/threads="+strconv.Itoa(threads), func(b *testing.B) {
				p, err := New(w.shape, 1)
				if err != nil {
					b.Fatal(err)
				}
				d := NewDecoder(p, w.sample, threads)
				b.ReportAllocs()
				before := processorTime()
				for b.Loop() {
					sampleAll(b, d, w)
				}
				report(b, w.sample*(w.shape.Context-1), before)
			})
		}
	}
}

// sampleAll fills the context of every slot from one token on.
func sampleAll(b *testing.B, d *Decoder, w workload) {
	slots, tokens, chance := make([]int, w.sample), make([][]int32, w.sample), make([]*rand.Rand, w.sample)
	for i := range slots {
		d.Reset(i)
		slots[i], tokens[i], chance[i] = i, []int32{0}, rand.New(rand.NewPCG(1, uint64(i)))
	}
	for range w.shape.Context - 1 {
		err := d.Step(slots, tokens, func(i int, logits []float32) {
			tokens[i][0] = Draw(logits, 1, 0, 1, chance[i].Float64())
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
