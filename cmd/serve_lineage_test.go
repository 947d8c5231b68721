package cmd

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/lineage/urn"
)

// foldedUrn is an urn that takes the seeds that reach a server: the protocol's
// clients send 31 bits of ours. It is only in the child processes that ask for it.
type foldedUrn struct{ *urn.Backend }

func registerFoldedUrn() {
	if os.Getenv("HEIRLOOM_TEST_FOLDED_URN") == "" {
		return
	}
	lineage.Register("folded-urn", "for tests", []lineage.Learner{lineage.SFT}, urn.Config{Estimate: "mean"}, func(c urn.Config) (lineage.Backend, error) {
		b, err := urn.New(c)
		return foldedUrn{b}, err
	})
}

func (b foldedUrn) Open(ctx context.Context, a lineage.Artifact) (lineage.Model, error) {
	m, err := b.Backend.Open(ctx, a)
	return foldedModel{m}, err
}

type foldedModel struct{ lineage.Model }

func (m foldedModel) Sample(ctx context.Context, reqs []lineage.Request, emit func(int, lineage.Completion) error) error {
	folded := slices.Clone(reqs)
	for i := range folded {
		folded[i].Seed = (folded[i].Seed ^ folded[i].Seed>>32) & math.MaxInt32
	}
	return m.Model.Sample(ctx, folded, emit)
}

const twoLines = `
heirloom: 1
name: two-lines
seed: 11
generations: 5
replicates: 12
behaviours: {trauma-narrative: {}}
line:
  backend: %s
  base: scratch
  corpus:
    size: 40
    parts:
      - {human: web/everyday, share: 0.1}
      - {outputs: self, share: 0.6}
      - {outputs: others, share: 0.3}
  publish: {prompts: web/prompts, size: 40, temperature: 1}
  probe: {draws: 1}
lines: {aster: {}, birch: {}}
arms:
  seeded:
    interventions:
      - {name: dose, kind: inject, behaviour: trauma-narrative, dose: 0.3, lines: [aster], at: 0}
`

// world is what a run came to: the texts of every model by line, replicate and
// generation (one for each arm, in the order of the texts), and the prevalence in
// the last generation of each replicate, over its lines and arms.
type world struct {
	texts map[string][]string
	last  []float64
}

func lineageWith(t *testing.T, backend, kind string) world {
	t.Helper()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "two-lines.yaml"), filepath.Join(dir, "run")
	if err := os.WriteFile(file, []byte(fmt.Sprintf(twoLines, backend)), 0o644); err != nil {
		t.Fatal(err)
	}
	c, all := process(t, "run", file, "--out", out, "--yes", "--workers", "8")
	c.Env = append(c.Env, "HEIRLOOM_TEST_FOLDED_URN=1")
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v: %s", kind, err, all)
	}
	l, err := store.Read(filepath.Join(out, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := world{texts: map[string][]string{}, last: make([]float64, 12)}
	for key, err := range l.Keys("node/") {
		if err != nil {
			t.Fatal(err)
		}
		var n lineage.Node
		if ok, err := l.Load(key, &n); !ok || err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		var said strings.Builder
		carriers, texts := 0, 0
		for _, part := range []string{lineage.Outputs, lineage.Probes} {
			var chunk lineage.Texts
			if _, err := l.Load(lineage.TextsKey(part, n.ID, 0), &chunk); err != nil {
				t.Fatal(err)
			}
			for _, x := range chunk {
				fmt.Fprintf(&said, "%s: %q %s\n", part, x.Replies, x.Finish)
				if texts++; strings.Contains(x.Replies[len(x.Replies)-1], "trauma") {
					carriers++
				}
			}
		}
		at := fmt.Sprint(n.Line, n.Replicate, n.Generation)
		w.texts[at] = append(w.texts[at], said.String())
		if n.Generation == 4 {
			w.last[n.Replicate] += float64(carriers) / float64(4*texts) // of two lines in two arms
		}
	}
	for _, arms := range w.texts {
		slices.Sort(arms)
	}
	return w
}

// Two lines of five generations through the whole paid route (files, jobs, chat)
// against a server with an urn behind it are, text by text, the lineage of that
// urn in process; and they are distributed as those of an urn with all 64 bits of
// the seeds: the means over 12 replicates differ by less than 5 standard errors,
// which by Student's t with 22 degrees of freedom chance exceeds 5 times in 100,000
// runs.
func TestLineageThroughAServerIsTheLineageOfWhatIsBehindIt(t *testing.T) {
	stand, err := urn.New(urn.Config{Estimate: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.New(serve.Options{
		Models:   []serve.Model{{Name: "hl-urn", Backend: stand, Learners: []lineage.Learner{lineage.SFT}}},
		Patience: 5 * time.Second, Log: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	web := httptest.NewServer(s)
	defer web.Close()
	served := lineageWith(t, fmt.Sprintf("{kind: openai, profile: compatible, base_url: %q, model: hl-urn, limits: {jobs: 8}}", web.URL+"/v1"), "served")
	inside := lineageWith(t, "{kind: folded-urn}", "in process")
	if len(served.texts) != 2*12*5 || len(inside.texts) != len(served.texts) {
		t.Fatalf("%d and %d places", len(served.texts), len(inside.texts))
	}
	for at, want := range inside.texts {
		if got := served.texts[at]; !slices.Equal(got, want) {
			t.Fatalf("%s: served\n%.600s\nin process\n%.600s", at, got, want)
		}
	}
	models := 0
	for _, arms := range served.texts {
		models += len(arms)
	}
	if c := s.Counts(); c.Jobs != models || c.Uploads != models || c.Charges != models {
		t.Errorf("%d models took %+v", models, c)
	}

	plain := lineageWith(t, "{kind: urn}", "with whole seeds")
	m1, v1 := moments(served.last)
	m2, v2 := moments(plain.last)
	if z := (m1 - m2) / math.Sqrt(v1/float64(len(served.last))+v2/float64(len(plain.last))); !(math.Abs(z) < 5) || m1 == 0 {
		t.Errorf("prevalence in the last generation: served %.4f, in process %.4f, z = %.2f", m1, m2, z)
	}
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}
