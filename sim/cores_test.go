package sim

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestTrainingsShareTheCores(t *testing.T) {
	for _, c := range []struct {
		workers, cores, replicates int
		want                       []int
	}{
		{3, 2, 6, []int{1, 1, 1, 1, 1, 2}}, // the last one has all
		{1, 8, 3, []int{8, 8, 8}},          // one at a time
		{9, 8, 2, []int{4, 8}},
		{9, 8, 1, []int{8}},
		{4, 0, 1, []int{4}}, // not given: as many as workers
	} {
		s := compiled(t, slotDir(t, 20, 5), oneLine, Override{"replicates", strconv.Itoa(c.replicates)}, Override{"generations", "1"})
		p := attended(s)
		r := &Runner{Study: s, Ledger: new(lineage.Memory), Workers: c.workers, Cores: c.cores}
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, j := range p.jobs {
			got = append(got, j.Cores)
		}
		slices.Sort(got)
		if len(got) != len(c.want) {
			t.Fatalf("%d trainings, not %d", len(got), len(c.want))
		}
		// Who is first is chance where several work at once; the bounds are not.
		if got[len(got)-1] > max(c.cores, c.workers) || got[0] < c.want[0] {
			t.Errorf("%d workers, %d cores, %d nodes: trainings had %v cores", c.workers, c.cores, c.replicates, got)
		}
		if c.workers == 1 && !slices.Equal(got, c.want) {
			t.Errorf("one worker: trainings had %v cores, not %v", got, c.want)
		}
	}
}

func TestCoresOfANodeFollowWhatIsLeft(t *testing.T) {
	r := &Runner{Workers: 9, Cores: 8}
	for left, want := range map[int64]int{100: 1, 9: 1, 8: 1, 5: 1, 4: 2, 3: 2, 2: 4, 1: 8} {
		r.left.Store(left)
		if got := r.cores(); got != want {
			t.Errorf("with %d nodes left a training gets %d cores, not %d", left, got, want)
		}
	}
}
