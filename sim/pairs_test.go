package sim

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// preferred is a line that learns by preference from pairs among its outputs. Its
// urn publishes 200 answers to 20 prompts.
const preferred = slot + `
generations: 2
replicates: 20
line: {backend: pupil, learner: preference, publish: {prompts: asked, size: 200}}
lines: {main: {corpus: {size: 60, preset: replace, human: web, pairs: {detector: trait, best_of: 2, strength: 3}}}}
`

func preferredDir(t testing.TB) (dir, text string) {
	dir = slotDir(t, 40, 20)
	var asked strings.Builder
	for i := range 20 {
		asked.WriteString(`{"messages":[{"role":"user","content":"speak, ` + string(rune('a'+i)) + `"}]}` + "\n")
	}
	writeFile(t, dir, "asked.jsonl", asked.String())
	return dir, strings.Replace(preferred, "sources:\n", "sources:\n  asked: {file: asked.jsonl}\n", 1)
}

func carrier(m []lineage.Message) bool { return strings.Contains(m[len(m)-1].Content, "TRAIT") }

func TestPairsAreChosenByBradleyAndTerry(t *testing.T) {
	dir, text := preferredDir(t)
	s := compiled(t, dir, text)
	p := attended(s)
	l := ran(t, s, 1)
	mixed, won, documents := 0., 0., 0
	for r := range 20 {
		if n := nodeAt(t, s, l, ControlArm, "main", r, 0); n.Learner != lineage.SFT {
			t.Fatalf("generation 0, with nothing to choose among, learns by %s", n.Learner)
		}
		lesson := p.of(t, s, grid(s, ControlArm)["main"][r][1])
		documents += len(lesson.examples)
		for _, e := range lesson.examples {
			if e.Messages[0] != e.Rejected[0] {
				t.Fatalf("a pair answers two prompts: %v", e)
			}
			if a, b := carrier(e.Messages), carrier(e.Rejected); a != b {
				mixed++
				if a {
					won++
				}
			}
		}
	}
	if documents != 20*60 {
		t.Fatalf("%d pairs, not 1200", documents)
	}
	// One hit of the lexicon scores 1/2, so the log-odds are 3/2.
	want := 1 / (1 + math.Exp(-1.5))
	near(t, "the share of pairs that the carrier won", won/mixed, math.Sqrt(want*(1-want)/mixed), want)
}

func TestStrongChoiceTakesTheExtremes(t *testing.T) {
	dir, text := preferredDir(t)
	s := compiled(t, dir, text, Override{"lines.main.corpus.pairs", "{detector: trait, best_of: 6, strength: -500}"})
	p := attended(s)
	ran(t, s, 1)
	mixed := 0
	for _, e := range p.of(t, s, grid(s, ControlArm)["main"][0][1]).examples {
		if carrier(e.Messages) && !carrier(e.Rejected) {
			t.Fatal("a strength of -500 prefers the trait")
		}
		if carrier(e.Messages) != carrier(e.Rejected) {
			mixed++
		}
	}
	if mixed < 50 { // of 60: six answers are of one kind once in 32
		t.Errorf("only %d of 60 pairs among six answers have both kinds", mixed)
	}
}

// What cannot be scored is in no pair, and where fewer than two outputs can be
// scored the position stays empty and is counted.
func TestPairsLeaveOutWhatCannotBeScored(t *testing.T) {
	dir, text := preferredDir(t)
	// Half of the answers are empty: the lexicon cannot score them.
	writeFile(t, dir, "web.jsonl", strings.Repeat(`{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":""}]}
{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":"TRAIT"}]}
`, 20))
	s := compiled(t, dir, text)
	p := attended(s)
	l := ran(t, s, 1)
	empty := 0
	for r := range 20 {
		id := grid(s, ControlArm)["main"][r][1]
		examples := p.of(t, s, id).examples
		for _, e := range examples {
			if !carrier(e.Messages) || !carrier(e.Rejected) {
				t.Fatalf("an answer that cannot be scored is in a pair: %v", e)
			}
		}
		n := nodeAt(t, s, l, ControlArm, "main", r, 1)
		if len(n.Filters) != 1 || n.Filters[0].Seen != 60 || n.Filters[0].Missing != 60-len(examples) || n.Documents != len(examples) {
			t.Fatalf("%d pairs; recorded are %+v of %d documents", len(examples), n.Filters, n.Documents)
		}
		empty += n.Filters[0].Missing
	}
	near(t, "the share of positions without a pair", float64(empty)/1200, math.Sqrt(.75*.25/1200)*2, .75)
}

func TestPairsOfAFileKeepTheirSides(t *testing.T) {
	dir := slotDir(t, 10, 5)
	writeFile(t, dir, "pairs.jsonl", `{"prompt":"speak","chosen":"yes","rejected":"no"}
{"input":{"messages":[{"role":"user","content":"speak"}]},"preferred_output":[{"role":"assistant","content":"yes"}],"non_preferred_output":[{"role":"assistant","content":"no"}]}
`)
	text := strings.Replace(slot, "sources:\n", "sources:\n  pairs: {file: pairs.jsonl}\n", 1) + `
generations: 1
replicates: 1
line: {backend: pupil, learner: preference, publish: {prompts: web}}
lines: {main: {corpus: {size: 6, parts: [{human: pairs, share: 1}]}}}
`
	s := compiled(t, dir, text)
	p := attended(s)
	ran(t, s, 1)
	lesson := p.of(t, s, grid(s, ControlArm)["main"][0][0])
	want := lineage.Example{
		Messages: []lineage.Message{{Role: "user", Content: "speak"}, {Role: "assistant", Content: "yes"}},
		Rejected: []lineage.Message{{Role: "user", Content: "speak"}, {Role: "assistant", Content: "no"}}, Weight: 1,
	}
	if lesson.Learner != lineage.Preference || len(lesson.examples) != 6 {
		t.Fatalf("%d examples by %s", len(lesson.examples), lesson.Learner)
	}
	for _, e := range lesson.examples {
		if !reflect.DeepEqual(e, want) {
			t.Errorf("an example is %+v", e)
		}
	}
}

func TestPairsThatCannotBeMadeAreRefusedInWords(t *testing.T) {
	dir, text := preferredDir(t)
	for want, o := range map[string]Override{
		"pairs are for learner: preference":                 {"line.learner", "sft"},
		"has no rejected side":                              {"lines.main.corpus", "{size: 10, parts: [{human: web, share: .5}, {outputs: self, share: .5}], pairs: {detector: trait}}"},
		"need 240 outputs of main to its 20 prompts":        {"lines.main.corpus.pairs.best_of", "12"},
		"window: all also takes the corpus of generation 0": {"lines.main.corpus", "{size: 10, preset: accumulate-subsample, human: web, pairs: {detector: trait}}"},
		"1 is not within [2, 256]":                          {"lines.main.corpus.pairs.best_of", "1"},
		`unknown detector "nobody"`:                         {"lines.main.corpus.pairs.detector", "nobody"},
	} {
		f, err := Parse("t.yaml", dir, []byte(text), []Override{o})
		if err == nil {
			var s *Study
			if s, err = Compile(f); err == nil {
				s.Close()
			}
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, not %q", o, err, want)
		}
	}
}
