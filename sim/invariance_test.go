package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	_ "github.com/heirloom-sim/heirloom/lineage/ngram"
	_ "github.com/heirloom-sim/heirloom/lineage/transformer"
)

// web is a small study with every kind of step in it: two lines that read each
// other, a seeded arm, a filter, curation, a continual line and probes.
const web = slot + `
generations: 4
replicates: 3
line:
  backend: {kind: ngram, order: 3, smoothing: dirichlet}
  corpus: {size: 30, parts: [{human: web/everyday, share: .2}, {outputs: self, share: .5}, {outputs: others, share: .3}]}
  publish: {prompts: web/prompts, size: 60, max_tokens: 40}
  probe: {draws: 1, max_tokens: 20}
  held_out: web/heldout
lines:
  a: {}
  b: {base: parent}
arms:
  seeded:
    interventions: [{kind: inject, behaviour: trauma-narrative, dose: .3, lines: [a], at: 0}]
  guarded:
    interventions:
      - {kind: inject, behaviour: trauma-narrative, dose: .3, lines: [a], at: 0}
      - {kind: filter, detector: trauma-narrative, recall: .8, false_positives: .05, from: 1}
      - {kind: curate, detector: trauma-narrative, best_of: 2, strength: -2, from: 2, lines: [b]}
`

// webText has the guards begin in generation from at the latest, so that
// shorter studies are still valid.
func webText(from int) string {
	text := strings.Replace(web, "behaviours:", "behaviours:\n  trauma-narrative: {}", 1)
	return strings.ReplaceAll(text, "from: 2", fmt.Sprintf("from: %d", from))
}

func webStudy(t testing.TB, overrides ...Override) *Study {
	return compiled(t, slotDir(t, 30, 0), webText(1), overrides...)
}

func fingerprint(t testing.TB, l lineage.Ledger) string {
	t.Helper()
	sum, err := lineage.Fingerprint(l, "")
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestWorkersChangeNoByte(t *testing.T) {
	want := fingerprint(t, ran(t, webStudy(t), 1))
	for _, workers := range []int{2, 16} {
		if got := fingerprint(t, ran(t, webStudy(t), workers)); got != want {
			t.Errorf("the ledger of %d workers differs from that of one", workers)
		}
	}
}

// failing is a ledger that refuses every write after the first n.
type failing struct {
	lineage.Ledger
	left atomic.Int64
}

var errStopped = errors.New("the process was stopped here")

func (f *failing) Save(key lineage.Key, v any) error {
	if f.left.Add(-1) < 0 {
		return errStopped
	}
	return f.Ledger.Save(key, v)
}

func TestStoppedAtAnyWriteAndResumedIsTheSameLedger(t *testing.T) {
	study := webStudy(t, Override{"generations", "2"}, Override{"replicates", "1"},
		Override{"line.corpus.size", "15"}, Override{"line.publish.size", "30"}, Override{"line.probe.draws", "0"}, Override{"line.held_out", "null"})
	want := fingerprint(t, ran(t, study, 1))
	stops := 0
	for n := int64(0); ; n++ {
		ledger := new(lineage.Memory)
		f := &failing{Ledger: ledger}
		f.left.Store(n)
		err := (&Runner{Study: study, Ledger: f, Workers: 2}).Run(context.Background())
		if err == nil {
			break
		}
		if !errors.Is(err, errStopped) {
			t.Fatalf("stopped at write %d: %v", n, err)
		}
		stops++
		if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(context.Background()); err != nil {
			t.Fatalf("resumed after write %d: %v", n, err)
		}
		if got := fingerprint(t, ledger); got != want {
			t.Fatalf("stopped at write %d and resumed: the ledger differs", n)
		}
	}
	if stops < 5 {
		t.Fatalf("only %d stops were tried", stops)
	}
}

func TestCancelledRunIsResumedToTheSameLedger(t *testing.T) {
	study := webStudy(t, Override{"generations", "2"})
	want := fingerprint(t, ran(t, study, 1))
	ledger := new(lineage.Memory)
	ctx, cancel := context.WithCancel(context.Background())
	seen := 0
	r := &Runner{Study: study, Ledger: ledger, Workers: 2, Report: func(e Event) {
		if seen++; seen == 4 {
			cancel()
		}
	}}
	if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run says %v", err)
	}
	if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := fingerprint(t, ledger); got != want {
		t.Error("the resumed ledger differs from an uninterrupted one")
	}
}

// grid gives the IDs of an arm by line name.
func grid(s *Study, arm string) map[string][][]lineage.ID {
	out := map[string][][]lineage.ID{}
	for _, a := range s.Record.Arms {
		if a.Name == arm {
			for l, line := range s.Record.Lines {
				out[line] = a.Nodes[l]
			}
		}
	}
	return out
}

func TestInterventionTouchesOnlyItsDescendants(t *testing.T) {
	extra := `
  late:
    interventions: [{kind: inject, behaviour: trauma-narrative, dose: .2, lines: [b], at: 2}]
`
	text := webText(2) + extra
	s := compiled(t, slotDir(t, 30, 0), text)
	control, late := grid(s, ControlArm), grid(s, "late")
	for r := range s.Record.Replicates {
		for g := range s.Record.Generations {
			touched := map[string]bool{"a": g > 2, "b": g >= 2}
			for _, line := range s.Record.Lines {
				if same := control[line][r][g] == late[line][r][g]; same == touched[line] {
					t.Errorf("line %s replicate %d generation %d: same node as the control: %v", line, r, g, same)
				}
			}
		}
	}
}

func TestDoseMovesOnlyThePositionsThatItTakes(t *testing.T) {
	corpora := func(dose string) map[string]int {
		s := webStudy(t, Override{"arms.seeded.interventions[0].dose", dose}, Override{"arms.guarded", "null"}, Override{"generations", "1"})
		l := ran(t, s, 1)
		var c lineage.Corpus
		if ok, err := l.Load(lineage.CorpusKey(grid(s, "seeded")["a"][0][0]), &c); !ok || err != nil {
			t.Fatal(ok, err)
		}
		docs := map[string]int{}
		for _, strand := range c {
			for _, i := range strand.Indices {
				docs[fmt.Sprint(strand.Source, strand.Node, i)]++
			}
		}
		return docs
	}
	low, high := corpora(".1"), corpora(".2")
	kept := 0
	for doc, n := range low {
		kept += min(n, high[doc])
	}
	// 3 and 6 of 30 documents are seeds: three human documents make way for
	// three more seeds, and all others stay.
	if kept != 27 {
		t.Errorf("a dose raised from 3 to 6 of 30 documents kept %d of them, not 27", kept)
	}
}

func TestLongerExperimentContinuesAShorterOne(t *testing.T) {
	short := webStudy(t, Override{"generations", "2"})
	ledger := ran(t, short, 2)
	long := webStudy(t, Override{"generations", "3"}, Override{"replicates", "4"})
	have, err := long.Have(ledger)
	if err != nil {
		t.Fatal(err)
	}
	if len(have) != short.Nodes() {
		t.Fatalf("the longer experiment finds %d of the %d models of the shorter one", len(have), short.Nodes())
	}
	var last Event
	r := &Runner{Study: long, Ledger: ledger, Workers: 2, Report: func(e Event) { last = e }}
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if last.Reused != short.Nodes() || last.Done != long.Nodes() {
		t.Errorf("reused %d of %d, done %d of %d", last.Reused, short.Nodes(), last.Done, long.Nodes())
	}
	fresh := ran(t, long, 2)
	for _, kind := range []lineage.Key{"node/", "outputs/", "probes/", "scores/", "corpus/"} {
		a, err := lineage.Fingerprint(ledger, kind)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := lineage.Fingerprint(fresh, kind); a != b {
			t.Errorf("%s of a continued run differ from those of a fresh one", kind)
		}
	}
}

func TestNewDetectorScoresOldNodesWithoutSamplingAgain(t *testing.T) {
	dir := slotDir(t, 20, 5)
	text := slot + `
generations: 2
replicates: 2
lines: {main: {backend: urn, corpus: {size: 20, preset: replace, human: web}, publish: {prompts: web}}}
`
	ledger := ran(t, compiled(t, dir, text), 1)
	outputs, err := lineage.Fingerprint(ledger, "outputs/")
	if err != nil {
		t.Fatal(err)
	}
	more := compiled(t, dir, text, Override{"detectors.other", "{kind: regexp, pattern: 'TR.IT'}"}, Override{"behaviours.other", "{detectors: [other]}"})
	sampled := &sampleCounter{}
	for _, jobs := range more.jobs {
		for _, j := range jobs {
			j.shape.backend = sampled
		}
	}
	if err := (&Runner{Study: more, Ledger: ledger, Workers: 1}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if again, _ := lineage.Fingerprint(ledger, "outputs/"); again != outputs || sampled.opened.Load() != 0 {
		t.Error("a new detector sampled again")
	}
	for _, d := range more.detectors {
		for _, id := range more.Record.Arms[0].Nodes[0][0] {
			if ok, _ := ledger.Load(lineage.ScoresKey(id, d.Digest, lineage.Outputs, 0), new(lineage.Raw)); !ok {
				t.Errorf("%s did not score %s", d.Name, id)
			}
		}
	}
}

// sampleCounter is a backend that must not be needed.
type sampleCounter struct {
	lineage.Backend
	opened atomic.Int64
}

func (s *sampleCounter) Train(context.Context, lineage.Job) (lineage.Artifact, error) {
	s.opened.Add(1)
	return nil, errors.New("trained")
}

func TestStudyIsNamedByAllThatItsRecordSays(t *testing.T) {
	a, b := webStudy(t), webStudy(t)
	b.Record.Behaviours[0].About = "told in other words by a later program"
	if recordDigest(b.Record) == recordDigest(a.Record) {
		t.Error("another record has the same digest: it could not be saved beside the first")
	}
}

func TestStreamsAreWhatTheyWere(t *testing.T) {
	// These numbers are the meaning of a seed. When they change, every published
	// result changes with them: that is a breaking change.
	s := at(7, "draw human:web", "aster", 3, 5)
	got := []uint64{s.rand(0).Uint64(), s.rand(1).Uint64(), at(7, "draw human:web", "aster", 3, 6).rand(0).Uint64()}
	seeds := make([]uint64, 3)
	s.seeds(1023, seeds)
	got = append(got, seeds...)
	want := goldenStreams
	if !slices.Equal(got, want) {
		t.Errorf("streams give %#v, not %#v", got, want)
	}
}

func TestSeedsDependOnTheirIndexAlone(t *testing.T) {
	s := at(1, "sample", "a", 0, 0)
	all := make([]uint64, 5000)
	s.seeds(0, all)
	for _, first := range []int{0, 1, 1000, 1024, 2047, 4999} {
		part := make([]uint64, min(1500, len(all)-first))
		s.seeds(first, part)
		if !slices.Equal(part, all[first:first+len(part)]) {
			t.Errorf("seeds from %d differ from the same seeds drawn in one go", first)
		}
	}
}

// Decisions of neighbouring slots and of neighbouring replicates are uniform and
// independent: chi-square over a 16 × 16 table of pairs, 255 degrees of freedom,
// beyond 350 once in 20,000 seeds.
func TestDecisionsAreUniformAndIndependent(t *testing.T) {
	for name, pair := range map[string]func(i int) (a, b float64){
		"neighbouring positions": func(i int) (float64, float64) {
			s := at(3, "filter", "a", 0, 0)
			return s.float(2 * i << 16), s.float((2*i + 1) << 16)
		},
		"rounds": func(i int) (float64, float64) {
			s := at(3, "filter", "a", 0, 0)
			return s.float(i << 16), s.float(i<<16 | 1<<8)
		},
		"neighbouring replicates": func(i int) (float64, float64) {
			return at(3, "filter", "a", i, 0).float(7), at(3, "filter", "a", i+100_000, 0).float(7)
		},
	} {
		const n = 100_000
		var table [16][16]float64
		for i := range n {
			a, b := pair(i)
			table[int(a*16)][int(b*16)]++
		}
		chi := 0.0
		for _, row := range table {
			for _, k := range row {
				chi += (k - n/256.) * (k - n/256.) / (n / 256.)
			}
		}
		if chi > 350 {
			t.Errorf("%s: chi-square %.0f", name, chi)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	b.Run("seed of a request", func(b *testing.B) {
		s := at(1, "sample", "a", 0, 0)
		dst := make([]uint64, lineage.ChunkSize)
		for i := 0; i < b.N; i += len(dst) {
			s.seeds(i, dst)
		}
	})
	b.Run("decision of an index", func(b *testing.B) {
		s := at(1, "filter", "a", 0, 0)
		for i := range b.N {
			s.float(i)
		}
	})
	b.Run("generator of an index", func(b *testing.B) {
		s := at(1, "filter", "a", 0, 0)
		for i := range b.N {
			s.rand(i).Uint64()
		}
	})
}
