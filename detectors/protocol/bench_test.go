//go:build unix

package protocol

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
)

// spent is the processor time of this process and of its children that ended, in
// seconds.
func spent() (s float64) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			s += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
		}
	}
	return s
}

// BenchmarkPython gives the rows a second of a trivial detector behind the
// protocol, those of the same function called in a loop in Python, and how many
// times dearer the protocol is. cpu-µs/row, of both processes together, is what a
// busy machine does not change.
func BenchmarkPython(b *testing.B) {
	const body = `
def detect(output, ctx):
    return "lattice" in output
`
	c, env := python(b, body+"if __name__ == '__main__':\n    run(detect, name='trivial')\n")
	const rows = 50_000
	var us []detectors.Utterance
	for i := range rows {
		us = append(us, said(fmt.Sprintf("On day %d I went for a walk, read a book about the lattice, and thought of nothing in particular; then it was evening.", i)))
	}
	loop := "import time\nfrom mine import detect\nrows = ['On day %d I went for a walk, read a book about the lattice, and thought of nothing in particular; then it was evening.' % i for i in range(" + strconv.Itoa(rows) + ")]\nstart = time.perf_counter()\nfor r in rows: detect(r, None)\nprint((time.perf_counter() - start))"
	direct := exec.Command("python3", "-c", loop)
	direct.Dir = env.Dir
	out, err := direct.Output()
	if err != nil {
		b.Fatal(err)
	}
	alone, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		b.Fatal(err)
	}
	d, err := c.Open(env)
	if err != nil {
		b.Fatal(err)
	}
	before := spent()
	for b.Loop() {
		results, err := d.Detect(b.Context(), us)
		if err != nil || results[rows-1].Outcome != detectors.Present {
			b.Fatal(results[rows-1], err)
		}
	}
	d.Close() // so that the child's time is counted
	b.ReportMetric((spent()-before)/float64(b.N)/rows*1e6, "cpu-µs/row")
	each := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(rows/each, "rows/s")
	b.ReportMetric(rows/alone, "direct-rows/s")
	b.ReportMetric((each-alone)/rows*1e6, "overhead-µs/row")
	b.ReportMetric(each/alone, "times-direct")
}
