package sim

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// pupil is a backend that keeps what its trainings were given. What it makes is
// an urn.
type pupil struct {
	lineage.Backend
	sync.Mutex
	jobs []lesson
}

// lesson is one training with its examples read.
type lesson struct {
	lineage.Job
	examples []lineage.Example
}

func (p *pupil) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	l := lesson{Job: job}
	for e, err := range job.Examples {
		if err != nil {
			return nil, err
		}
		l.examples = append(l.examples, e)
	}
	p.Lock()
	p.jobs = append(p.jobs, l)
	p.Unlock()
	job.Learner, job.Teacher = lineage.SFT, nil
	return p.Backend.Train(ctx, job)
}

// attended replaces the backend of every node by one that keeps its lessons.
func attended(s *Study) *pupil {
	p := &pupil{}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			p.Backend = j.shape.backend
		}
	}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			j.shape.backend = p
		}
	}
	return p
}

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
