package net

import (
	"slices"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

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
