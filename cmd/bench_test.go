package cmd

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// BenchmarkLedgerOnDisk runs the default scenario in turn with a ledger in
// memory and one on disk, in the same process, and gives what the disk adds as
// a percentage of the run: the median over pairs, since single runs on two cores
// differ by more than that.
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
	run := func(l lineage.Ledger) time.Duration {
		started := time.Now()
		if err := (&sim.Runner{Study: study, Ledger: l, Workers: runtime.NumCPU() + 1}).Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		return time.Since(started)
	}
	tune()
	var memory, disk, share []float64
	for range b.N {
		m := run(new(lineage.Memory)).Seconds()
		started := time.Now()
		l, err := store.Create(b.TempDir(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		run(l)
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		d := time.Since(started).Seconds()
		memory, disk, share = append(memory, m), append(disk, d), append(share, 100*(d-m)/d)
	}
	b.ReportMetric(median(memory), "s-memory")
	b.ReportMetric(median(disk), "s-disk")
	b.ReportMetric(median(share), "%-of-the-run")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}
