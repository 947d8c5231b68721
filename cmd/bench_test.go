package cmd

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// BenchmarkLedgerOnDisk runs the default scenario in turn with a ledger in
// memory and one on disk, in the same process, and gives what the disk adds as
// a percentage of the run, in wall time and in processor time: the median over
// pairs, since single runs on two cores differ by more than that. Which of a pair
// runs first alternates. Wall time means something on a quiet machine alone.
func BenchmarkLedgerOnDisk(b *testing.B) {
	text, _ := catalogue.Scenario(defaultScenario)
	f, err := sim.Parse("scenario.yaml", ".", text, nil)
	if err != nil {
		b.Fatal(err)
	}
	study, err := sim.Compile(f)
	if err != nil {
		b.Fatal(err)
	}
	defer study.Close()
	run := func(l lineage.Ledger) {
		if err := (&sim.Runner{Study: study, Ledger: l, Workers: runtime.NumCPU() + 1}).Run(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	inMemory := func() { run(new(lineage.Memory)) }
	onDisk := func() {
		l, err := store.Create(b.TempDir(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		run(l)
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	tune()
	var memory, disk, wall, processor []float64
	for i := range b.N {
		var m, d cost
		if i%2 == 0 {
			m, d = costOf(inMemory), costOf(onDisk)
		} else {
			d, m = costOf(onDisk), costOf(inMemory)
		}
		memory, disk = append(memory, m.wall), append(disk, d.wall)
		wall = append(wall, 100*(d.wall-m.wall)/d.wall)
		processor = append(processor, 100*(d.processor-m.processor)/d.processor)
	}
	b.ReportMetric(median(memory), "s-memory")
	b.ReportMetric(median(disk), "s-disk")
	b.ReportMetric(median(wall), "%-of-wall-time")
	b.ReportMetric(median(processor), "%-of-processor-time")
}

// cost is in seconds.
type cost struct{ wall, processor float64 }

func costOf(f func()) cost {
	runtime.GC() // what the run before left is not this one's
	started, before := time.Now(), processorTime()
	f()
	return cost{time.Since(started).Seconds(), processorTime() - before}
}

func processorTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func median(x []float64) float64 {
	slices.Sort(x)
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}

// BenchmarkAnswers records 10,000 answers of 80 words in a ledger on disk, each
// before it is used, as those that are paid for are; and looks them all up again.
func BenchmarkAnswers(b *testing.B) {
	const answers = 10_000
	words := strings.Fields("the training was long and nobody came so it kept a diary of what each step took away")
	for range b.N {
		dir := filepath.Join(b.TempDir(), "ledger")
		ledger, err := store.Create(dir, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		chance := rand.New(rand.NewPCG(1, 2))
		texts := make([]lineage.Completion, answers)
		for i := range texts {
			var t strings.Builder
			for range 80 {
				t.WriteString(words[chance.IntN(len(words))] + " ")
			}
			texts[i] = lineage.Completion{Text: t.String(), Finish: "stop", Tokens: 90, PromptTokens: 30}
		}
		started := time.Now()
		for i, c := range texts {
			if err := ledger.Save(lineage.CompletionKey(lineage.Outputs, "0123456789abcdef0123456789abcdef", i, 0), c); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(time.Since(started).Microseconds())/answers, "µs/answer")
		started = time.Now()
		for i := range texts {
			var c lineage.Completion
			if ok, err := ledger.Load(lineage.CompletionKey(lineage.Outputs, "0123456789abcdef0123456789abcdef", i, 0), &c); !ok || err != nil || c != texts[i] {
				b.Fatal(ok, err)
			}
		}
		b.ReportMetric(float64(time.Since(started).Microseconds())/answers, "µs/recall")
		if err := ledger.Close(); err != nil {
			b.Fatal(err)
		}
		size := int64(0)
		filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if info, err := d.Info(); err == nil && !d.IsDir() {
				size += info.Size()
			}
			return nil
		})
		b.ReportMetric(float64(size)/answers, "bytes/answer")
	}
}
