package cmd

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// BenchmarkLedgerOnDisk runs the default scenario in turn with a ledger in
// memory and one on disk, in the same process, and gives what the disk adds as
// a percentage of the run.
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
		if err := (&sim.Runner{Study: study, Ledger: l, Workers: runtime.NumCPU()}).Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		return time.Since(started)
	}
	var memory, disk time.Duration
	for range b.N {
		memory += run(new(lineage.Memory))
		l, err := store.Create(b.TempDir(), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		disk += run(l)
		started := time.Now()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		disk += time.Since(started)
	}
	b.ReportMetric(memory.Seconds()/float64(b.N), "s-memory")
	b.ReportMetric(disk.Seconds()/float64(b.N), "s-disk")
	b.ReportMetric(100*(disk-memory).Seconds()/disk.Seconds(), "%-of-the-run")
}
