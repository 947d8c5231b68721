package net

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

func digest(parts ...[]float32) [32]byte {
	var b []byte
	for _, part := range parts {
		for _, x := range part {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return sha256.Sum256(b)
}

// texts are n sequences of a few lengths over the vocabulary.
func texts(s Shape, n int, seed uint64) []Sequence {
	chance := stream(seed, "texts")
	batch := make([]Sequence, n)
	for i := range batch {
		length := 2 + chance.IntN(s.Context)
		for range length {
			batch[i].Tokens = append(batch[i].Tokens, int32(chance.IntN(s.Vocab)))
		}
		for range length - 1 {
			batch[i].Weight = append(batch[i].Weight, float32(chance.Float64())/float32(n*s.Context))
		}
	}
	return batch
}

var odd = Shape{Layers: 2, Width: 36, Heads: 2, Hidden: 52, Context: 50, Vocab: 77}

func mustNew(t *testing.T, s Shape, o Options) (*Params, *Trainer) {
	t.Helper()
	p, err := New(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := NewTrainer(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, trainer
}

func steps(t *testing.T, trainer *Trainer, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		for part := range uint64(2) {
			if _, err := trainer.Gradient(texts(trainer.params.Shape, 16, uint64(i)<<1|part)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := trainer.Update(3e-3); err != nil {
			t.Fatal(err)
		}
	}
}

// outcome is the digest of what a training with the options ends in, and of what
// is scored and sampled from that.
func outcome(t *testing.T, o Options) [32]byte {
	t.Helper()
	p, trainer := mustNew(t, odd, o)
	steps(t, trainer, 0, 3)
	scores, err := trainer.LogProbs(texts(odd, 9, 100))
	if err != nil {
		t.Fatal(err)
	}
	labels, err := trainer.Distribution(texts(odd, 3, 101), 5)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Merge()
	d := NewDecoder(p, 7, o.Threads)
	feed := texts(odd, 7, 102)
	var tokens [][]int32
	for _, q := range feed {
		tokens = append(tokens, q.Tokens[:min(len(q.Tokens), odd.Context)])
	}
	logits, err := d.Feed([]int{6, 5, 4, 3, 2, 1, 0}, tokens)
	if err != nil {
		t.Fatal(err)
	}
	parts := append([][]float32{p.Flat}, logits...)
	for _, s := range scores {
		parts = append(parts, []float32{float32(s)})
	}
	for _, l := range labels {
		parts = append(parts, l.Prob)
	}
	return digest(parts...)
}

func TestThreadsAndKernelsChangeNoBit(t *testing.T) {
	before := kernel.Name()
	defer kernel.Use(before)
	for _, o := range []Options{{}, {Dropout: .1, Seed: 8}, {Rank: 4, Seed: 8}} {
		want := map[string][32]byte{}
		for _, name := range kernel.Names() {
			if err := kernel.Use(name); err != nil {
				t.Fatal(err)
			}
			many := []int{1, 2, 3, 5, 0}
			if name == "go" { // slow
				many = []int{1, 3}
			}
			for _, threads := range many {
				o.Threads = threads
				got := outcome(t, o)
				if first, ok := want[Arithmetic()]; ok && got != first {
					t.Errorf("%s with %d threads and options %+v ends elsewhere", name, threads, o)
				}
				want[Arithmetic()] = got
			}
		}
		procs := runtime.GOMAXPROCS(7)
		if got := outcome(t, o); got != want[Arithmetic()] {
			t.Error("GOMAXPROCS changes bits")
		}
		runtime.GOMAXPROCS(procs)
	}
}

func TestRestoredTrainingEndsInTheSameBits(t *testing.T) {
	for _, o := range []Options{{}, {Dropout: .2}, {Rank: 3, Alpha: 5}} {
		whole, trainer := mustNew(t, odd, o)
		steps(t, trainer, 0, 6)
		trainer.Merge()

		half, trainer := mustNew(t, odd, o)
		steps(t, trainer, 0, 3)
		weights, state := half.Clone(), trainer.State()
		again, err := NewTrainer(weights, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Restore(state); err != nil {
			t.Fatal(err)
		}
		steps(t, again, 3, 6)
		again.Merge()
		if digest(whole.Flat) != digest(weights.Flat) {
			t.Errorf("with %+v a restored training ends elsewhere", o)
		}
		for name, broken := range map[string][]byte{
			"cut": state[:len(state)-1], "empty": nil, "foreign": append([]byte("x"), state[1:]...),
			"long": append(slices.Clone(state), 0), "of more parts": flip(state, len(stateVersion)+32),
		} {
			before := digest(weights.Flat)
			if err := again.Restore(broken); err == nil {
				t.Errorf("a state that is %s is taken", name)
			}
			if digest(weights.Flat) != before || again.Steps() != 6 {
				t.Errorf("a state that is %s changes the trainer", name)
			}
		}
	}
}

func flip(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 1
	return b
}

// TestCachedLogitsAreThoseOfTheWholeText compares bit by bit: both ways use the
// same products, and each row of one depends on no other.
func TestCachedLogitsAreThoseOfTheWholeText(t *testing.T) {
	before := kernel.Name()
	defer kernel.Use(before)
	for _, name := range kernel.Names() {
		if err := kernel.Use(name); err != nil {
			t.Fatal(err)
		}
		s := Shape{Layers: 2, Width: 40, Heads: 2, Hidden: 52, Context: 150, Vocab: 77}
		p, trainer := mustNew(t, s, Options{})
		scramble(p)
		var q Sequence
		chance := stream(5, "tokens")
		for range s.Context + 1 {
			q.Tokens = append(q.Tokens, int32(chance.IntN(s.Vocab)))
		}
		want := wholeLogits(trainer, q)
		d := NewDecoder(p, 3, 2)
		for _, pieces := range [][]int{{1}, {7}, {33}, {64}, {150}, {3, 90}} {
			d.Reset(1)
			d.Reset(2)
			for at, i := 0, 0; at < s.Context; i++ {
				n := min(pieces[i%len(pieces)], s.Context-at)
				// Another sequence goes along and must change nothing.
				other := []int32{int32(at % s.Vocab)}
				logits, err := d.Feed([]int{2, 1}, [][]int32{other, q.Tokens[at : at+n]})
				if err != nil {
					t.Fatal(err)
				}
				at += n
				if !slices.Equal(logits[1], want[at-1]) {
					t.Fatalf("%s: fed %v at a time, the logits after %d tokens differ", name, pieces, at)
				}
			}
		}
	}
}

// wholeLogits are the logits at each position by the forward pass of training.
func wholeLogits(t *Trainer, q Sequence) [][]float32 {
	t.prepare(false)
	q.Weight = make([]float32, len(q.Tokens)-1)
	all := t.chunks([]Sequence{q}, true, false)
	w := t.workers[0]
	w.forward([]Sequence{q}, &all[0], nil)
	var out [][]float32
	for i := range all[0].rows {
		w.logitsOf([]int{i})
		out = append(out, slices.Clone(w.head.logits[:t.params.Shape.Vocab]))
	}
	return out
}

func TestSlotsAreUsedAgain(t *testing.T) {
	p, _ := mustNew(t, odd, Options{})
	d := NewDecoder(p, 2, 1)
	first, err := d.Feed([]int{0}, [][]int32{{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(first[0])
	if _, err := d.Feed([]int{0, 1}, [][]int32{{9, 9, 9}, {4}}); err != nil {
		t.Fatal(err)
	}
	d.Reset(0)
	again, err := d.Feed([]int{0}, [][]int32{{1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again[0], want) {
		t.Error("what was in a slot before changes its logits")
	}
	for what, feed := range map[string]struct {
		slots  []int
		tokens [][]int32
	}{
		"too many tokens":     {[]int{0}, [][]int32{make([]int32, odd.Context)}},
		"no tokens":           {[]int{0}, [][]int32{{}}},
		"a foreign token":     {[]int{0}, [][]int32{{77}}},
		"a slot twice":        {[]int{0, 0}, [][]int32{{1}, {1}}},
		"a slot out of range": {[]int{2}, [][]int32{{1}}},
		"an odd number":       {[]int{0, 1}, [][]int32{{1}}},
	} {
		if _, err := d.Feed(feed.slots, feed.tokens); err == nil {
			t.Errorf("%s: no error", what)
		}
		if d.Length(0) != 3 {
			t.Errorf("%s: something was appended", what)
		}
	}
}

func TestOnlyWhatIsTrainedChanges(t *testing.T) {
	p, trainer := mustNew(t, odd, Options{Train: func(name string) bool { return name == "block.1.mlp.in" || name == "norm.final.gain" }})
	before := p.Clone()
	steps(t, trainer, 0, 2)
	for i, w := range p.Tensors {
		trained := w.Name == "block.1.mlp.in" || w.Name == "norm.final.gain"
		if same := slices.Equal(w.Data, before.Tensors[i].Data); same == trained {
			t.Errorf("%s: trained %v, unchanged %v", w.Name, trained, same)
		}
		if (trainer.Grad(w.Name) != nil) != trained {
			t.Errorf("%s: a gradient: %v", w.Name, !trained)
		}
	}
	if _, err := NewTrainer(p, Options{Train: func(string) bool { return false }}); err == nil {
		t.Error("a training of nothing is no error")
	}
}

func TestAdaptersLeaveTheBaseUntilTheyAreMerged(t *testing.T) {
	p, trainer := mustNew(t, odd, Options{Rank: 2})
	before := p.Clone()
	batch := texts(odd, 8, 1)
	first, err := trainer.LogProbs(batch)
	if err != nil {
		t.Fatal(err)
	}
	steps(t, trainer, 0, 5)
	if !slices.Equal(p.Flat, before.Flat) {
		t.Error("the base changes while adapters are trained")
	}
	trained, err := trainer.LogProbs(batch)
	if err != nil {
		t.Fatal(err)
	}
	trainer.Merge()
	merged, err := NewTrainer(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	after, err := merged.LogProbs(batch)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(after, trained) || slices.Equal(after, first) {
		t.Error("merged weights do not score as the adapters did, or nothing was learned")
	}
}

func TestBrokenNumbersStopTheTraining(t *testing.T) {
	p, trainer := mustNew(t, odd, Options{})
	steps(t, trainer, 0, 1)
	p.Tensor("block.0.mlp.out").Data[5] = float32(math.NaN())
	trainer, err := NewTrainer(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch := texts(odd, 3, 1)
	_, err = trainer.Gradient(batch)
	t.Log(err)
	if err == nil {
		t.Fatal("a loss that is no number is no error")
	}
	before := digest(p.Flat)
	if _, err := trainer.Update(.1); err == nil {
		t.Error("a gradient that is no number is no error")
	} else {
		t.Log(err)
	}
	if digest(p.Flat) != before || trainer.Steps() != 0 {
		t.Error("a failed step changes parameters")
	}
	if _, err := trainer.LogProbs(batch); err == nil {
		t.Error("a log-probability that is no number is no error")
	}
	if _, err := trainer.Update(math.NaN()); err == nil {
		t.Error("a learning rate that is no number is no error")
	}
}

func TestBadBatchesAreRefused(t *testing.T) {
	_, trainer := mustNew(t, odd, Options{})
	good := Sequence{Tokens: []int32{1, 2, 3}, Weight: []float32{1, 1}}
	for name, change := range map[string]func(q *Sequence){
		"one token":          func(q *Sequence) { q.Tokens, q.Weight = q.Tokens[:1], nil },
		"too long":           func(q *Sequence) { q.Tokens, q.Weight = make([]int32, 52), make([]float32, 51) },
		"foreign token":      func(q *Sequence) { q.Tokens = []int32{1, 2, 77} },
		"negative token":     func(q *Sequence) { q.Tokens = []int32{1, -2, 7} },
		"weights":            func(q *Sequence) { q.Weight = q.Weight[:1] },
		"NaN":                func(q *Sequence) { q.Weight = []float32{1, float32(math.NaN())} },
		"soft size":          func(q *Sequence) { q.Soft = &Soft{K: 2, Tokens: []int32{1, 2}, Prob: []float32{.5, .5}} },
		"soft dense":         func(q *Sequence) { q.Soft = &Soft{K: 2, Prob: []float32{.5, .5, .5, .5}} },
		"soft K":             func(q *Sequence) { q.Soft = &Soft{} },
		"soft mass":          func(q *Sequence) { q.Soft = &Soft{K: 1, Tokens: []int32{1, 2}, Prob: []float32{.5, 1.5}} },
		"soft foreign token": func(q *Sequence) { q.Soft = &Soft{K: 1, Tokens: []int32{1, 77}, Prob: []float32{.5, .5}} },
		"soft NaN": func(q *Sequence) {
			q.Soft = &Soft{K: 1, Tokens: []int32{1, 2}, Prob: []float32{.5, float32(math.NaN())}}
		},
	} {
		q := Sequence{Tokens: slices.Clone(good.Tokens), Weight: slices.Clone(good.Weight)}
		change(&q)
		if _, err := trainer.Gradient([]Sequence{good, q}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if loss, err := trainer.Gradient(nil); loss != 0 || err != nil {
		t.Errorf("of no sequence the loss is %v, %v", loss, err)
	}
	q := Sequence{Tokens: good.Tokens, Weight: []float32{0, 0}}
	if loss, err := trainer.Gradient([]Sequence{q}); loss != 0 || err != nil {
		t.Errorf("with weights of 0 the loss is %v, %v", loss, err)
	}
	if norm, err := trainer.Update(.1); norm != 0 || err != nil {
		t.Errorf("a step without a gradient has a norm of %v, %v", norm, err)
	}
}

func TestBadShapesAndOptionsAreRefused(t *testing.T) {
	for _, s := range []Shape{
		{}, {1, 10, 3, 4, 5, 6, false}, {1, -4, 2, 4, 5, 6, false}, {1 << 20, 1 << 20, 1, 1 << 20, 1, 1, false}, {1, 4, 2, 4, 5, 1 << 30, false},
	} {
		if _, err := New(s, 1); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
	p, _ := mustNew(t, odd, Options{})
	for _, o := range []Options{
		{Beta1: 1}, {Beta2: math.NaN()}, {Epsilon: math.Inf(1)}, {Dropout: 1}, {Dropout: -1, Rank: -1}, {Clip: math.NaN()}, {Temperature: -1},
	} {
		if _, err := NewTrainer(p, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	count := 0
	for _, w := range p.Tensors {
		count += len(w.Data)
	}
	if count != odd.Parameters() || count != len(p.Flat) {
		t.Errorf("%d parameters are said, %d are there", odd.Parameters(), count)
	}
}
