package urn

import (
	"bytes"
	"context"
	"iter"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func corpus(texts ...string) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for _, text := range texts {
			if !yield(lineage.Example{Weight: 1, Messages: []lineage.Message{{Role: "user", Content: "speak"}, {Role: "assistant", Content: text}}}, nil) {
				return
			}
		}
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []Config{
		{Estimate: "median"}, {Estimate: "mean", Prior: -1}, {Estimate: "mean", Prior: 1, Accumulate: true},
		{Estimate: "mean", Advantage: []Advantage{{"", .1}}}, {Estimate: "mean", Advantage: []Advantage{{"x", -1}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func TestEmptyUrnSaysSo(t *testing.T) {
	b, err := New(Config{Estimate: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Train(context.Background(), lineage.Job{Examples: corpus()}); err == nil {
		t.Error("an urn without documents was trained")
	}
}

// FuzzLoad reads hostile bytes as an artifact: an error, or an artifact that is
// written as it was read.
func FuzzLoad(f *testing.F) {
	b, err := New(Config{Estimate: "mean", Conditioned: true})
	if err != nil {
		f.Fatal(err)
	}
	a, err := b.Train(context.Background(), lineage.Job{Seed: 5, Examples: corpus("one", "two", "one", "")})
	if err != nil {
		f.Fatal(err)
	}
	data, err := a.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Add([]byte(format))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := b.Load(data)
		if err != nil {
			return
		}
		again, err := a.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		c, err := b.Load(again)
		if err != nil {
			t.Fatal(err)
		}
		if twice, _ := c.MarshalBinary(); !bytes.Equal(again, twice) {
			t.Error("an artifact changes when it is written again")
		}
	})
}
