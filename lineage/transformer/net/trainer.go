package net

import (
	"errors"
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// Options are how a network is trained. Zero values are the usual ones.
type Options struct {
	Threads int // 0: all; changes no bit of a result

	Train func(tensor string) bool // which tensors are trained; nil: all

	// Rank above 0 trains adapters of that rank instead (LoRA, Hu et al. 2022):
	// the matrices of attention and MLP that Train names become
	// W + Alpha/Rank·A·B, and all parameters stay as they are until Merge.
	Rank  int
	Alpha float64 // 0: Rank
	Seed  uint64  // of A and of dropout

	// AdamW. For those that have a usual value other than 0, a negative number
	// means 0. The decay is of matrices only, not of embeddings, gains and biases.
	Beta1   float64 // 0: 0.9
	Beta2   float64 // 0: 0.95
	Epsilon float64 // 0: 1e-8
	Decay   float64 // 0: 0.1
	Clip    float64 // largest norm of the gradient; 0: 1; negative: any

	Dropout     float64 // share of elements dropped, of embeddings and of what blocks add
	Temperature float64 // that logits are divided by for soft labels, given and taken; 0: 1
}

func (o Options) check() (Options, error) {
	or := func(value *float64, usual float64) {
		if *value == 0 {
			*value = usual
		}
		*value = max(*value, 0)
	}
	or(&o.Alpha, float64(o.Rank))
	or(&o.Beta1, .9)
	or(&o.Beta2, .95)
	or(&o.Epsilon, 1e-8)
	or(&o.Decay, .1)
	or(&o.Clip, 1)
	or(&o.Temperature, 1)
	for _, f := range []struct {
		name         string
		value, limit float64
	}{
		{"alpha", o.Alpha, math.MaxFloat32}, {"beta1", o.Beta1, 1}, {"beta2", o.Beta2, 1},
		{"epsilon", o.Epsilon, 1}, {"decay", o.Decay, math.MaxFloat32}, {"clip", o.Clip, math.MaxFloat32},
		{"dropout", o.Dropout, 1}, {"temperature", o.Temperature, math.MaxFloat32},
	} {
		if !(f.value >= 0 && f.value < f.limit) {
			return o, fmt.Errorf("%s: %v is not within [0, %g)", f.name, f.value, f.limit)
		}
	}
	if o.Temperature == 0 {
		return o, errors.New("temperature: it is not more than 0")
	}
	if o.Rank < 0 {
		return o, fmt.Errorf("rank: %d is less than 0", o.Rank)
	}
	return o, nil
}

// Trainer trains the parameters that it was made with. Between its calls they may
// be read; to change them, make another. It is for one goroutine at a time.
type Trainer struct {
	params  *Params
	options Options
	adapter *adapter // nil: the parameters themselves are trained
	weights weights
	packed  [2]bool // the forward and the backward form are those of the parameters

	workers []*worker
	lanes   []*gradient

	grad   []float32 // of all parameters; nil before the first
	grads  []Tensor  // its views
	fresh  bool      // there is no gradient yet
	moment optimizer

	steps, gradients uint64
	rate, norm       float64 // of the last step
}

// NewTrainer makes a trainer of p. It fails where an option is out of its range or
// where nothing would be trained.
func NewTrainer(p *Params, o Options) (*Trainer, error) {
	o, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	if err := kernel.Check(); err != nil {
		return nil, err
	}
	if o.Train == nil {
		o.Train = func(string) bool { return true }
	}
	t := &Trainer{params: p, options: o, fresh: true, weights: newWeights(p)}
	trained := p.Tensors
	if o.Rank > 0 {
		t.adapter = newAdapter(p, o)
		trained = t.adapter.tensors
		t.weights = newWeights(t.adapter.whole)
	}
	t.moment = newOptimizer(trained, o)
	if t.moment.size == 0 {
		return nil, fmt.Errorf("training: no tensor is trained; with an adapter only matrices of attention and MLP can be")
	}
	return t, nil
}

// Gradient adds to the gradient that of the loss, which it returns: the sum over
// all positions of the weight times −log p of the next token, in nats, or times
// the cross-entropy with a soft label. A loss that is no number is an error.
func (t *Trainer) Gradient(batch []Sequence) (loss float64, err error) {
	if err := t.params.Shape.checkBatch(batch, true); err != nil {
		return 0, err
	}
	t.gradients++
	sums := make([]float64, len(batch))
	t.prepare(true)
	all := t.chunks(batch, false, true)
	used := min(lanes, len(all))
	for len(t.lanes) < used {
		flat := make([]float32, len(t.params.Flat))
		t.lanes = append(t.lanes, &gradient{
			flat: flat, view: t.params.Shape.view(flat), trains: t.trains, head: t.trains(t.headID()),
		})
	}
	parallel(t.options.Threads, used, func(thread, i int) {
		g, w := t.lanes[i], t.workers[thread]
		g.begin(!t.params.Shape.Untied)
		for j := i; j < len(all); j += lanes {
			c := &all[j]
			drop := t.dropout(c)
			w.forward(batch, c, drop)
			w.head.targets(batch, c, sums)
			w.loss(c, float32(t.options.Temperature), g)
			w.backward(batch, c, g, drop)
		}
	})
	t.reduce(used)
	for _, s := range sums {
		loss += s
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, fmt.Errorf("step %d: the loss is %v; the last step had a learning rate of %g and a gradient of norm %.3g: lower the learning rate or warm up longer",
			t.steps+1, loss, t.rate, t.norm)
	}
	return loss, nil
}

// trains says whether a tensor of the parameters needs a gradient.
func (t *Trainer) trains(tensor int) bool {
	if t.adapter != nil {
		return t.adapter.of[tensor] != nil
	}
	return t.options.Train(t.params.Tensors[tensor].Name)
}

func (t *Trainer) headID() int {
	if t.params.Shape.Untied {
		return len(t.params.Tensors) - 1
	}
	return 0
}

func (t *Trainer) dropout(c *chunk) *dropout {
	if t.options.Dropout == 0 {
		return nil
	}
	return &dropout{key: mix(t.options.Seed) + t.gradients, share: t.options.Dropout, spans: c.spans}
}

// prepare packs the weights where they have changed.
func (t *Trainer) prepare(backward bool) {
	for i, want := range []bool{true, backward} {
		if want && !t.packed[i] {
			t.weights.pack(t.options.Threads, i == 1)
			t.packed[i] = true
		}
	}
}

// chunks cuts the batch and makes room for its chunks.
func (t *Trainer) chunks(batch []Sequence, whole, backward bool) []chunk {
	all := chunks(batch, whole)
	rows := 0
	for _, c := range all {
		rows = max(rows, c.rows)
	}
	for len(t.workers) < workers(t.options.Threads, len(all)) {
		t.workers = append(t.workers, &worker{weights: &t.weights})
	}
	for _, w := range t.workers {
		w.fit(rows, backward)
	}
	return all
}

// reduce adds the gradients of lanes to the whole, in their order.
func (t *Trainer) reduce(used int) {
	if used == 0 {
		return
	}
	t.openGradient()
	parallel(t.options.Threads, (len(t.grad)+piece-1)/piece, func(_, i int) {
		from, to := i*piece, min((i+1)*piece, len(t.grad))
		sum, lanes := t.grad[from:to], t.lanes[:used]
		if t.fresh {
			copy(sum, lanes[0].flat[from:to])
			lanes = lanes[1:]
		}
		for _, g := range lanes {
			kernel.Add(sum, g.flat[from:to])
		}
	})
	t.fresh = false
}

func (t *Trainer) openGradient() {
	if t.grad == nil {
		t.grad = make([]float32, len(t.params.Flat))
		t.grads = t.params.Shape.tensors(t.grad)
	}
}

// LogProbs is the sum over its positions of weight times log p of the next token,
// in nats, for each sequence; for soft labels it is minus the cross-entropy.
func (t *Trainer) LogProbs(batch []Sequence) ([]float64, error) {
	if err := t.params.Shape.checkBatch(batch, true); err != nil {
		return nil, err
	}
	sums := make([]float64, len(batch))
	t.prepare(false)
	all := t.chunks(batch, false, false)
	parallel(t.options.Threads, len(all), func(thread, i int) {
		w, c := t.workers[thread], &all[i]
		w.forward(batch, c, nil)
		w.head.targets(batch, c, sums)
		w.loss(c, float32(t.options.Temperature), nil)
	})
	for i, s := range sums {
		sums[i] = -s
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return nil, fmt.Errorf("sequence %d: its log-probability is %v: the parameters are no numbers or overflow", i, -s)
		}
	}
	return sums, nil
}

// Merge folds the adapters into the parameters. The trainer is done then.
func (t *Trainer) Merge() {
	if t.adapter != nil {
		copy(t.params.Flat, t.adapter.whole.Flat)
	}
}

// Steps is the number of updates so far.
func (t *Trainer) Steps() int { return int(t.steps) }
