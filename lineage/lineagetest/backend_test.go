package lineagetest

import (
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/urn"
)

func TestUrnIsABackend(t *testing.T) {
	for name, config := range map[string]urn.Config{
		"mean":        {Estimate: "mean", Prior: 3},
		"sample":      {Estimate: "sample"},
		"conditioned": {Estimate: "mean", Conditioned: true, Accumulate: true},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := urn.New(config)
			if err != nil {
				t.Fatal(err)
			}
			Backend(t, Options{Backend: b, Learners: []lineage.Learner{lineage.SFT, lineage.SDF}})
		})
	}
}
