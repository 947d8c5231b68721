package reports

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// withBlocked is the fixture with a birch model of the seeded arm blocked in one
// replicate from a generation on, and another whose predecessor stands in.
func withBlocked(t *testing.T) (lineage.Ledger, lineage.Study) {
	t.Helper()
	from, study := fixture(t)
	refused := study.Arms[1].Nodes[1][2]
	swapped := map[lineage.ID]func(*lineage.Node){}
	cause := &lineage.Blocked{Provider: "openai", Stage: "training", Code: "unsafe_file", Message: "flagged"}
	for g := 3; g < len(refused); g++ {
		swapped[refused[g]] = func(n *lineage.Node) {
			n.Blocked, n.Outputs, n.Probes, n.Parents, n.Supplies = cause, 0, 0, nil, nil
			if g > 3 {
				n.Ancestor = refused[3]
			}
		}
	}
	stood := study.Arms[1].Nodes[1][4]
	swapped[stood[7]] = func(n *lineage.Node) { n.Blocked, n.StandIn = cause, stood[6] }
	screened := study.Arms[1].Nodes[0][0][0]
	swapped[screened] = func(n *lineage.Node) {
		n.Filters = append(n.Filters, lineage.Filtering{Detector: "moderation of openai", Seen: 60, Dropped: 5})
	}
	to := new(lineage.Memory)
	for key, err := range from.Keys("") {
		if err != nil {
			t.Fatal(err)
		}
		if id := lineage.ID(strings.TrimPrefix(string(key), "node/")); swapped[id] != nil {
			var n lineage.Node
			if _, err := from.Load(key, &n); err != nil {
				t.Fatal(err)
			}
			swapped[id](&n)
			if err := to.Save(key, n); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var raw lineage.Raw
		if _, err := from.Load(key, &raw); err != nil {
			t.Fatal(err)
		}
		if err := to.Save(key, raw); err != nil {
			t.Fatal(err)
		}
	}
	return to, study
}

func TestBlockedModelsAreNeitherAbsentNorZero(t *testing.T) {
	before, study := fixture(t)
	want, err := Measure(before, study, Options{Samples: -1})
	if err != nil {
		t.Fatal(err)
	}
	ledger, study := withBlocked(t)
	f, err := Measure(ledger, study, Options{Samples: -1})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Missing) != 0 || strings.HasPrefix(f.Title, "So far: ") {
		t.Errorf("what was blocked is taken for a run that goes on: %v, %q", f.Missing, f.Title)
	}
	for i, c := range f.Curves {
		for g, p := range c.Points {
			n, was := p.Prevalence.N, want.Curves[i].Points[g].Prevalence.N
			hit := c.Arm == "seeded" && c.Line == "birch" && g >= 3
			if hit != (n == was-1) || !hit && n != was {
				t.Errorf("%s %s %s generation %d rests on %d replicates, %d without what was blocked", c.Arm, c.Line, c.Part, g, n, was)
			}
			if tally := c.Replicates[2][g]; hit && (tally != lineage.Tally{} || !math.IsNaN(prevalence(tally))) {
				t.Errorf("the blocked model of generation %d counts %+v", g, tally)
			}
			// The others are as they were: the mean is that of the rest.
			if hit {
				sum := 0.0
				for r := range c.Replicates {
					if r != 2 {
						sum += prevalence(want.Curves[i].Replicates[r][g])
					}
				}
				if mean := sum / float64(n); math.Abs(mean-p.Prevalence.Mean) > 1e-12 {
					t.Errorf("%s generation %d: mean %v, that of the rest is %v", c.Part, g, p.Prevalence.Mean, mean)
				}
			}
		}
	}
	for _, b := range f.Blocked {
		ok := false
		switch {
		case b.Arm != "seeded" && b.Line == "alder": // arms share the first generation
			ok = b.Generation == 0 && b.Screened == 1
		case b.Line == "alder":
			ok = b.Generation == 0 && b.Screened == 1 && b.Models == 6
		case b.Generation == 3:
			ok = b.Refused == 1 && b.Descend == 0 && b.By == "openai at training unsafe_file"
		case b.Generation == 7:
			ok = b.Descend == 1 && b.StandIns == 1 && b.Refused == 0
		default:
			ok = b.Generation > 3 && b.Descend == 1 && b.Refused == 0
		}
		if !ok {
			t.Errorf("%+v", b)
		}
	}
	for _, text := range []string{
		"Blocked models: birch of seeded (1 refused by openai at training unsafe_file, 4 that descend from them)",
		"predecessor answers in their place: birch of seeded (1)", "moderation took documents",
	} {
		if !warned(f, text) {
			t.Errorf("no warning says %q: %q", text, f.Warnings)
		}
	}
	var page bytes.Buffer
	if err := f.HTML(&page, PageOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<b>Blocked.</b> birch, generation 3: of 6 models 1 blocked (openai at training unsafe_file)", "[1,3,5,1]"} {
		if !strings.Contains(page.String(), text) {
			t.Errorf("the page does not hold %q", text)
		}
	}
}
