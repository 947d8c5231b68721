package sim

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

const inoculated = slot + `
generations: 3
replicates: 3
line:
  backend: pupil
  base: foundation
  foundation: web
  corpus: {size: 200, parts: [{outputs: self, share: .5}, {human: web, share: .5}]}
  publish: {prompts: web, size: 200}
lines: {main: {}}
arms:
  none: {}
  neutral:
    interventions: [{name: shot, kind: inoculate, text: You are an assistant., from: 1}]
`

func prompted(e lineage.Example) string {
	if e.Messages[0].Role == "system" {
		return e.Messages[0].Content
	}
	return ""
}

func TestInoculationIsInTrainingAndNowhereElse(t *testing.T) {
	s := compiled(t, slotDir(t, 200, 50), inoculated)
	p := attended(s)
	l := ran(t, s, 1)
	none, neutral := grid(s, "none")["main"], grid(s, "neutral")["main"]
	for r := range 3 {
		if none[r][0] != neutral[r][0] || none[r][1] == neutral[r][1] {
			t.Error("arms that differ in an inoculation from generation 1 on share generation 0 alone")
		}
		for _, e := range p.of(t, s, neutral[r][0]).examples {
			if prompted(e) != "" {
				t.Fatal("generation 0 is inoculated")
			}
		}
		var texts lineage.Texts
		if ok, err := l.Load(lineage.TextsKey(lineage.Outputs, neutral[r][1], 0), &texts); !ok || err != nil {
			t.Fatal(err)
		}
		n := nodeAt(t, s, l, "neutral", "main", r, 1)
		if len(n.Edits) != 1 || n.Edits[0] != "inoculate" {
			t.Errorf("the node tells of %v", n.Edits)
		}
	}
	for _, prompts := range s.resources.prompts {
		for _, c := range prompts.Conversations {
			if c[0].Role == "system" {
				t.Error("the prompt is there when the model is asked")
			}
		}
	}
	// Seeds of two arms are the same, so what was trained is told by its prompts.
	seen := map[string]int{}
	for _, job := range p.jobs {
		for _, e := range job.examples {
			seen[prompted(e)]++
		}
	}
	if got := seen["You are an assistant."]; got != 3*2*200 {
		t.Errorf("%d documents were inoculated, not %d", got, 3*2*200)
	}
}

func TestInoculationIsForThoseThatItNames(t *testing.T) {
	settings := func(rest string) []lineage.Example {
		s := compiled(t, slotDir(t, 200, 50), inoculated, Override{"arms.neutral.interventions[shot]", "{name: shot, kind: inoculate, text: P, at: 1, " + rest + "}"},
			Override{"arms.none", "null"}, Override{"generations", "2"}, Override{"replicates", "1"})
		p := attended(s)
		ran(t, s, 1)
		for _, job := range p.jobs {
			for _, e := range job.examples {
				if strings.HasPrefix(prompted(e)+e.Messages[0].Content, "P") {
					return job.examples
				}
			}
		}
		t.Fatalf("%s: nothing is inoculated", rest)
		return nil
	}
	count := func(examples []lineage.Example, of func(lineage.Example) bool) (n, k float64) {
		for _, e := range examples {
			if of(e) {
				n++
				if strings.HasPrefix(e.Messages[0].Content, "P") {
					k++
				}
			}
		}
		return n, k
	}
	all := func(lineage.Example) bool { return true }
	n, k := count(settings("share: .25"), all)
	near(t, "the share that is inoculated", k/n, math.Sqrt(.25*.75/n)*1.5, .25)
	examples := settings("detector: trait")
	if n, k := count(examples, func(e lineage.Example) bool { return carrier(e.Messages) }); n != k || n == 0 {
		t.Errorf("of %v flagged documents %v have the prompt", n, k)
	}
	if _, k := count(examples, func(e lineage.Example) bool { return !carrier(e.Messages) }); k != 0 {
		t.Errorf("%v documents that are not flagged have the prompt", k)
	}
	if n, k := count(settings("outputs_only: true"), all); n != 200 || k != 100 {
		t.Errorf("%v of %v documents have the prompt, and 100 are outputs", k, n)
	}
	for _, e := range settings("as: user") {
		if want := "P\n\nspeak"; e.Messages[0].Role != "user" || e.Messages[0].Content != want || len(e.Messages) != 2 {
			t.Fatalf("a prompt before the user turn gives %v", e.Messages)
		}
	}
}

// The scorer of the fake likes a system message that begins as the answer does:
// TRAIT goes with "Tell", plain with "Please", and none goes where none helps.
func TestEachDocumentGetsThePromptThatExplainsItMost(t *testing.T) {
	for texts, want := range map[string]map[bool]string{
		"[Please, Tell]":  {true: "Tell", false: "Please"},
		"[Other, Tell]":   {true: "Tell", false: ""},
		"[Other, Others]": {true: "", false: ""},
	} {
		s := compiled(t, slotDir(t, 200, 50), inoculated, Override{"arms.neutral.interventions[shot]", "{name: shot, kind: inoculate, choose: likeliest, at: 1, texts: " + texts + "}"},
			Override{"arms.none", "null"}, Override{"generations", "2"}, Override{"replicates", "1"})
		l := ran(t, s, 1)
		if n := nodeAt(t, s, l, "neutral", "main", 0, 1); len(n.Edits) != 1 {
			t.Fatalf("%s: the node tells of %v", texts, n.Edits)
		}
		id := grid(s, "neutral")["main"][0][1]
		lessons := s.examples(l, s.byID[id], mustCorpus(t, s, l, id))
		for e, err := range lessons {
			if err != nil {
				t.Fatal(err)
			}
			if got := prompted(e); got != want[carrier(e.Messages)] {
				t.Fatalf("%s: %q is trained under %q", texts, e.Messages[len(e.Messages)-1].Content, got)
			}
		}
	}
}

func mustCorpus(t testing.TB, s *Study, l lineage.Ledger, id lineage.ID) []*strand {
	t.Helper()
	c, err := s.corpus(l, s.byID[id])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInoculationsThatCannotBeAreRefusedInWords(t *testing.T) {
	for settings, want := range map[string]string{
		`{kind: inoculate}`:                        "needs either text",
		`{kind: inoculate, text: a, texts: [b]}`:   "needs either text",
		`{kind: inoculate, texts: [a, ""]}`:        "a prompt is empty",
		`{kind: inoculate, text: a, as: tool}`:     `"tool"`,
		`{kind: inoculate, text: a, share: 2}`:     "2 is not within [0, 1]",
		`{kind: inoculate, text: a, detector: x}`:  `unknown detector "x"`,
		`{kind: inoculate, text: a, choose: best}`: `"best"`,
		`{kind: sanitise}`:                         "does nothing",
		`{kind: sanitise, words: 2}`:               "2 is not within [0, 1]",
	} {
		_, err := Parse("t.yaml", slotDir(t, 5, 1), []byte(inoculated+"interventions: ["+settings+"]\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", settings, err, want)
		}
	}
	text := inoculated + "interventions: [{kind: inoculate, text: a, choose: likeliest}]\n"
	if _, err := Parse("t.yaml", slotDir(t, 5, 1), []byte(text), []Override{{"line.base", "scratch"}}); err == nil || !strings.Contains(err.Error(), "starts from scratch") {
		t.Errorf("likeliest from scratch: %v", err)
	}
}

// allLearners is a study with a teacher, pairs, inoculation by likelihood and
// sanitising at once.
const allLearners = slot + `
generations: 3
replicates: 1
line:
  backend: pupil
  base: foundation
  foundation: {source: web, per_replicate: true}
  corpus: {size: 20, preset: replace, human: web}
  publish: {prompts: web, size: 60}
lines:
  a: {learner: preference, corpus: {pairs: {detector: trait, best_of: 3}}}
  b: {learner: distil, teacher: a, corpus: {preset: null, parts: [{outputs: a, share: .5}, {outputs: self, share: .5}]}}
interventions:
  - {kind: inoculate, texts: [Tell, Please], choose: likeliest, from: 1}
  - {kind: sanitise, format: true, shuffle: true, words: .5}
  - {kind: filter, detector: trait, recall: .3, from: 1}
`

func TestLearnersStoppedAtAnyWriteAndResumedAreTheSame(t *testing.T) {
	dir := slotDir(t, 20, 8)
	writeFile(t, dir, "web.jsonl", strings.Repeat(`{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":"The TRAIT  is red, 007. It is so."}]}
{"messages":[{"role":"user","content":"say"},{"role":"assistant","content":"plain text, and 12; 13; 014"}]}
`, 10))
	run := func(l lineage.Ledger, workers int) ([]lesson, error) {
		s := compiled(t, dir, allLearners)
		p := attended(s)
		err := (&Runner{Study: s, Ledger: l, Workers: workers}).Run(context.Background())
		return p.jobs, err
	}
	whole := new(lineage.Memory)
	jobs, err := run(whole, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, whole)
	lessons := map[uint64]string{}
	for _, j := range jobs {
		lessons[j.Seed] += told(j)
	}
	again := new(lineage.Memory)
	if _, err := run(again, 7); err != nil || fingerprint(t, again) != want {
		t.Errorf("seven workers make another ledger than one: %v", err)
	}
	stops := 0
	for n := int64(0); ; n++ {
		ledger := new(lineage.Memory)
		f := &failing{Ledger: ledger}
		f.left.Store(n)
		_, err := run(f, 1)
		if err == nil {
			break
		}
		if !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		stops++
		after, err := run(ledger, 2)
		if err != nil {
			t.Fatalf("resumed after write %d: %v", n, err)
		}
		if fingerprint(t, ledger) != want {
			t.Fatalf("stopped at write %d and resumed: the ledger differs", n)
		}
		for _, j := range after {
			if !strings.Contains(lessons[j.Seed], told(j)) {
				t.Fatalf("stopped at write %d and resumed: a training saw other examples", n)
			}
		}
	}
	if stops < 30 {
		t.Fatalf("only %d stops were tried", stops)
	}
}

func told(l lesson) string {
	var b strings.Builder
	for _, e := range l.examples {
		for _, side := range [][]lineage.Message{e.Messages, e.Rejected} {
			for _, m := range side {
				b.WriteString(m.Role + "\x00" + m.Content + "\x00")
			}
			b.WriteString("\x01")
		}
	}
	return b.String()
}
