package net

import (
	"math"
	"testing"
)

func TestTrainingMemorisesAShortText(t *testing.T) {
	text := []byte("the quick brown fox jumps over the lazy dog while five wizards box")
	p, err := New(Shape{Layers: 2, Width: 32, Heads: 2, Hidden: 64, Context: 80, Vocab: 128}, 1)
	if err != nil {
		t.Fatal(err)
	}
	q := Sequence{}
	for _, b := range text {
		q.Tokens = append(q.Tokens, int32(b))
	}
	for range len(text) - 1 {
		q.Weight = append(q.Weight, 1/float32(len(text)-1))
	}
	trainer, err := NewTrainer(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var loss float64
	for range 150 {
		if loss, err = trainer.Gradient([]Sequence{q}); err != nil {
			t.Fatal(err)
		}
		if _, err = trainer.Update(3e-3); err != nil {
			t.Fatal(err)
		}
	}
	if loss > .05 {
		t.Errorf("after 150 steps on one text its loss is %.3f nats", loss)
	}
	d := NewDecoder(p, 1, 1)
	logits, err := d.Feed([]int{0}, [][]int32{q.Tokens[:5]})
	if err != nil {
		t.Fatal(err)
	}
	got := append([]byte(nil), text[:5]...)
	for len(got) < len(text) {
		next := Draw(logits[0], 0, 0, 0, 0)
		got = append(got, byte(next))
		if logits, err = d.Feed([]int{0}, [][]int32{{next}}); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != string(text) {
		t.Errorf("it says %q", got)
	}
}

// TestLossOfAMarkovSourceApproachesItsEntropy learns a chain of eight states and
// is scored on what it has not seen.
func TestLossOfAMarkovSourceApproachesItsEntropy(t *testing.T) {
	const states = 8
	chance := stream(1, "chain")
	var rows [states][states]float64
	for i := range rows {
		sum := 0.0
		for j := range rows[i] {
			rows[i][j] = math.Pow(chance.Float64(), 3)
			sum += rows[i][j]
		}
		for j := range rows[i] {
			rows[i][j] /= sum
		}
	}
	shape := Shape{Layers: 1, Width: 32, Heads: 2, Hidden: 64, Context: 64, Vocab: states}
	// draw makes sequences, and the mean of −log p of their steps by the chain.
	draw := func(n int) (batch []Sequence, entropy float64) {
		for range n {
			q := Sequence{Tokens: []int32{int32(chance.IntN(states))}}
			for range shape.Context {
				row := rows[q.Tokens[len(q.Tokens)-1]]
				u, next := chance.Float64(), 0
				for ; next < states-1 && u >= row[next]; next++ {
					u -= row[next]
				}
				q.Tokens = append(q.Tokens, int32(next))
				q.Weight = append(q.Weight, 1/float32(n*shape.Context))
				entropy -= math.Log(row[next]) / float64(n*shape.Context)
			}
			batch = append(batch, q)
		}
		return batch, entropy
	}
	_, trainer := mustNew(t, shape, Options{})
	for i := range 250 {
		batch, _ := draw(16)
		if _, err := trainer.Gradient(batch); err != nil {
			t.Fatal(err)
		}
		if _, err := trainer.Update(6e-3 * (1 - float64(i)/250)); err != nil {
			t.Fatal(err)
		}
	}
	batch, entropy := draw(100)
	scores, err := trainer.LogProbs(batch)
	if err != nil {
		t.Fatal(err)
	}
	loss := 0.0
	for _, s := range scores {
		loss -= s
	}
	if loss < entropy || loss > entropy+.02 {
		t.Errorf("the loss on new sequences is %.4f nats, the chain has %.4f", loss, entropy)
	}
}

// TestStudentTakesItsTeachersDistribution learns soft labels only, all of them and
// the most probable three.
func TestStudentTakesItsTeachersDistribution(t *testing.T) {
	shape := Shape{Layers: 1, Width: 24, Heads: 2, Hidden: 48, Context: 16, Vocab: 20}
	for _, k := range []int{0, 3} {
		for _, temperature := range []float64{1, 2} {
			o := Options{Temperature: temperature}
			teacher, trainer := mustNew(t, shape, o)
			scramble(teacher)
			batch := texts(shape, 12, 5)
			labels, err := trainer.Distribution(batch, k)
			if err != nil {
				t.Fatal(err)
			}
			floor, positions := 0.0, 0
			for i := range batch {
				batch[i].Soft = labels[i]
				positions += len(batch[i].Weight)
			}
			for i := range batch {
				for j := range batch[i].Weight {
					batch[i].Weight[j] = 1 / float32(positions)
					floor += labels[i].Entropy(j) / float64(positions)
				}
			}
			checkLabels(t, labels, k)
			if self, err := trainer.Gradient(batch); err != nil || math.Abs(self-floor) > 1e-5 {
				t.Errorf("top %d at %v: the teacher's own cross-entropy is %v, the entropy of its labels %v; %v", k, temperature, self, floor, err)
			}
			if norm, err := trainer.Update(0); err != nil || norm > 1e-5 {
				t.Errorf("top %d at %v: the teacher's gradient on its own labels has a norm of %v; %v", k, temperature, norm, err)
			}
			_, student := mustNew(t, shape, o)
			var first, last float64
			for i := range 300 {
				loss, err := student.Gradient(batch)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := student.Update(1e-2 * (1 - float64(i)/300)); err != nil {
					t.Fatal(err)
				}
				if last = loss - floor; i == 0 {
					first = last
				}
			}
			if last < -1e-5 || last > .05*first {
				t.Errorf("top %d at %v: the divergence goes from %.4f to %.4f nats", k, temperature, first, last)
			}
		}
	}
}

func checkLabels(t *testing.T, labels []*Soft, k int) {
	t.Helper()
	for _, l := range labels {
		for e := 0; e < len(l.Prob); e += l.K {
			sum := 0.0
			for j, p := range l.Prob[e : e+l.K] {
				sum += float64(p)
				if k > 0 && j > 0 && p > l.Prob[e+j-1] {
					t.Fatal("labels are not sorted")
				}
			}
			if sum > 1+1e-5 || k == 0 && sum < 1-1e-5 {
				t.Fatalf("the probabilities of a position add up to %v", sum)
			}
		}
	}
}
