package net

import (
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
