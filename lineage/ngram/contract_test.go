package ngram_test

import (
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
	"github.com/heirloom-sim/heirloom/lineage/ngram"
)

func TestContract(t *testing.T) {
	for _, smoothing := range []string{ngram.KneserNey, ngram.Dirichlet, ngram.None} {
		t.Run(smoothing, func(t *testing.T) {
			config := ngram.Defaults()
			config.Smoothing = smoothing
			backend, err := ngram.New(config)
			if err != nil {
				t.Fatal(err)
			}
			lineagetest.Backend(t, lineagetest.Options{Backend: backend, Learners: []lineage.Learner{lineage.SFT, lineage.SDF}})
		})
	}
}
