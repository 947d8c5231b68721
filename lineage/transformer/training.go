package transformer

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// training is one training in progress. What it has come to is in the trainer
// and the progress; all else follows from the job.
type training struct {
	config   Config
	learner  lineage.Learner
	begin    *beginning
	lessons  []lesson
	trainer  *net.Trainer
	teacher  *net.Trainer // forward only
	place    *place       // where its state is kept; nil for nowhere
	total    int          // updates
	progress progress
}

// progress is what a training knows beside its parameters and moments.
type progress struct {
	Step   int     // updates that are done
	Tokens int     // learned so far
	Losses float64 // sum over the updates of the last tenth
}

func (b *Backend) training(job lineage.Job, s *beginning, lessons []lesson) (*training, error) {
	t := &training{config: b.config, learner: job.Learner, begin: s, lessons: lessons}
	if t.total = s.schedule.Steps; t.total == 0 {
		t.total = s.schedule.Epochs * t.epoch()
	}
	options := net.Options{
		Threads: job.Cores, Decay: orNone(b.config.Decay), Clip: b.config.Clip, Dropout: b.config.Dropout,
		Seed: derive(s.seed, "engine"), Temperature: b.config.LabelTemperature,
	}
	if !s.scratch {
		options.Train, options.Rank, options.Alpha = changes(b.config.Train, s.params.Shape.Untied), b.config.Adapter.Rank, b.config.Adapter.alpha()
	}
	var err error
	if s.teacher != nil {
		if t.teacher, err = net.NewTrainer(s.teacher, net.Options{Threads: job.Cores, Temperature: b.config.LabelTemperature}); err != nil {
			return nil, err
		}
	}
	if t.place, err = b.place(t); err != nil {
		return nil, err
	}
	t.trainer, err = net.NewTrainer(s.params, options)
	return t, err
}

// orNone is what the engine takes for no decay: its 0 stands for the usual one.
func orNone(decay float64) float64 {
	if decay == 0 {
		return -1
	}
	return decay
}

func (a Adapter) alpha() float64 {
	if a.Alpha == 0 {
		return 2 * float64(a.Rank)
	}
	return a.Alpha
}

// epoch is how many updates one pass over the corpus takes.
func (t *training) epoch() int { return (len(t.lessons) + t.config.Batch - 1) / t.config.Batch }

// run makes all updates that are left.
func (t *training) run(ctx context.Context, tell func(done, total int)) error {
	if err := t.refer(ctx); err != nil {
		return err
	}
	if err := t.place.restore(t); err != nil {
		return err
	}
	var order []int
	for p := &t.progress; p.Step < t.total; p.Step++ {
		if err := ctx.Err(); err != nil {
			return t.place.interrupted(t, err)
		}
		at := p.Step % t.epoch()
		if at == 0 || order == nil {
			order = t.order(p.Step / t.epoch())
		}
		first := at * t.config.Batch
		batch := order[first:min(first+t.config.Batch, len(order))]
		if err := t.update(batch); err != nil {
			return err
		}
		if err := t.place.keep(t, p.Step+1); err != nil {
			return err
		}
		if tell != nil {
			tell(p.Step+1, t.total)
		}
	}
	t.trainer.Merge()
	return t.place.clear()
}

// order is the order of the lessons in one pass.
func (t *training) order(pass int) []int {
	return rand.New(rand.NewPCG(derive(t.begin.seed, "order"), uint64(pass))).Perm(len(t.lessons))
}

// rate is that of an update: a linear rise over the warm-up, then a cosine that
// ends at a tenth of the peak.
func (t *training) rate(step int) float64 {
	peak := t.begin.schedule.LearningRate
	warm := int(math.Ceil(t.config.Warmup * float64(t.total)))
	if step < warm {
		return peak * float64(step+1) / float64(warm)
	}
	done := float64(step-warm) / float64(max(t.total-warm, 1))
	return peak * (.1 + .9*(1+math.Cos(math.Pi*done))/2)
}

// update learns one batch.
func (t *training) update(batch []int) error {
	var loss float64
	var err error
	if t.learner == lineage.Preference {
		loss, err = t.preferences(batch)
	} else {
		loss, err = t.texts(batch)
	}
	if err != nil {
		return err
	}
	if _, err := t.trainer.Update(t.rate(t.progress.Step)); err != nil {
		return err
	}
	for _, i := range batch {
		t.progress.Tokens += t.lessons[i].tokens
	}
	if t.progress.Step >= t.total-t.lastTenth() {
		t.progress.Losses += loss
	}
	return nil
}

func (t *training) lastTenth() int { return max(t.total/10, 1) }

func (t *training) summary() summary {
	loss := t.progress.Losses / float64(t.lastTenth())
	return summary{Learner: t.learner, Steps: t.total, Tokens: t.progress.Tokens, Loss: &loss}
}

// gradient adds the gradient of sequences, at most a batch at a time, so that
// memory is bounded however long the documents of a pair are.
func (t *training) gradient(sequences []net.Sequence) (loss float64, err error) {
	for some := range slices.Chunk(sequences, t.config.Batch) {
		l, err := t.trainer.Gradient(some)
		if err != nil {
			return 0, err
		}
		loss += l
	}
	return loss, nil
}
