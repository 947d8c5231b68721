package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// polled is a survey of invented answers: subject i shows behaviour j at a rate
// of its own, near probes elicit it and far ones a fifth of that, where there
// are far ones at all.
type polled struct {
	subjects, behaviours, questions, draws int
	far, files                             bool
	reference                              int // -1 for none
	word                                   func(kind string, i int) string
}

func (p polled) survey() Survey {
	s := Survey{Name: p.word("name", 0), Question: p.word("question", 0), Digest: "0123456789abcdef", Seed: 3, Files: p.files, Draws: p.draws, Definition: p.word("definition", 0)}
	for i := range p.subjects {
		s.Subjects = append(s.Subjects, Subject{Name: p.word("subject", i), About: p.word("about", i)})
	}
	for i := range p.behaviours {
		s.Detectors = append(s.Detectors, lineage.Detector{Name: p.word("detector", i), Kind: p.word("kind", i), Digest: p.word("digest", i)})
		s.Behaviours = append(s.Behaviours, lineage.Behaviour{Name: fmt.Sprint("behaviour", i), Title: p.word("behaviour", i), Detectors: []string{s.Detectors[i].Name}})
	}
	if p.reference >= 0 {
		s.Reference = s.Subjects[p.reference].Name
	}
	return s
}

func (p polled) answers() (all []Answer) {
	s := p.survey()
	contexts := []string{"near"}
	if p.far {
		contexts = append(contexts, "far")
	}
	if p.files {
		contexts = []string{""}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for i, x := range s.Subjects {
		for j, b := range s.Behaviours {
			for _, context := range contexts {
				for q := range p.questions {
					for d := range p.draws {
						rate := float64(i) / float64(max(1, p.subjects-1)) * float64(1+j%3) / 3
						if context == "far" {
							rate /= 5
						}
						text := p.word("text", q)
						a := Answer{
							ID: fmt.Sprintf("%s %d %d", p.word("id", q), q, d), Subject: x.Name, Behaviour: b.Name, Context: context, Question: fmt.Sprint(context, q),
							Messages: []lineage.Message{{Role: "system", Content: p.word("system", q)}, {Role: "user", Content: p.word("ask", q)}, {Role: "assistant", Content: p.word("before", q)}, {Role: "user", Content: "and?"}, {Role: "assistant", Content: text}},
							Score:    lineage.Score{Outcome: lineage.Absent, Value: 0.1, Reason: p.word("reason", q)},
						}
						switch u := r.Float64(); {
						case u < rate:
							a.Score = lineage.Score{Outcome: lineage.Present, Value: 0.9, Reason: p.word("reason", q), Spans: []lineage.Span{{Start: 0, End: len(text) / 2, Label: p.word("label", q)}}}
						case u > .97:
							a.Score = lineage.Score{}
						}
						all = append(all, a)
					}
				}
			}
		}
	}
	return all
}

func (p polled) findings(t testing.TB) *SurveyFindings {
	t.Helper()
	poll := NewPoll(p.survey())
	for _, a := range p.answers() {
		if err := poll.Add(a); err != nil {
			t.Fatal(err)
		}
	}
	return poll.Findings()
}

func surveyPageOf(t testing.TB, f *SurveyFindings, o PageOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.HTML(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var ordinarySurvey = polled{subjects: 4, behaviours: 3, questions: 12, draws: 4, far: true, reference: 0, word: plainly}

func TestNoTextOfASurveyBecomesMarkup(t *testing.T) {
	for _, shape := range []polled{
		{subjects: 3, behaviours: 2, questions: 6, draws: 2, far: true, reference: 1},
		{subjects: 2, behaviours: 2, questions: 9, draws: 1, files: true, reference: -1},
	} {
		for _, static := range []bool{false, true} {
			shape.word = told("plain")
			want := skeleton(t, surveyPageOf(t, shape.findings(t), PageOptions{Version: "v1", Command: "x", Static: static}))
			for _, payload := range payloads {
				shape.word = told(payload)
				keepsItsTags(t, payload, surveyPageOf(t, shape.findings(t), PageOptions{Version: payload, Command: payload, Static: static}), want)
			}
		}
	}
}

func TestSurveyDoesNotDependOnTheOrderOfAnswers(t *testing.T) {
	var pages []string
	answers := ordinarySurvey.answers()
	for range 3 {
		poll := NewPoll(ordinarySurvey.survey())
		for _, a := range answers {
			if err := poll.Add(a); err != nil {
				t.Fatal(err)
			}
		}
		f := poll.Findings()
		var csv bytes.Buffer
		if err := f.CSV(&csv); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, surveyPageOf(t, f, PageOptions{})+csv.String())
		slices.Reverse(answers)
		answers = append(answers[7:], answers[:7]...)
	}
	if pages[0] != pages[1] || pages[0] != pages[2] {
		t.Error("the same answers in another order give another page")
	}
}

func TestTenThousandTranscriptsMakeALightPage(t *testing.T) {
	long := polled{subjects: 1, behaviours: 1, questions: 10_000, draws: 1, files: true, reference: -1, word: func(kind string, i int) string {
		if kind == "text" || kind == "before" {
			return strings.Repeat(fmt.Sprintf("%s %d says words that differ. ", kind, i), 60)
		}
		return plainly(kind, i)
	}}
	f := long.findings(t)
	if f.Answers != 10_000 || len(f.Samples)+f.LeftOut != 10_000 || len(f.Samples) > 2500 {
		t.Errorf("%d answers, %d kept, %d left out", f.Answers, len(f.Samples), f.LeftOut)
	}
	if size := len(surveyPageOf(t, f, PageOptions{})); size > 1_200_000 {
		t.Errorf("the page has %d bytes", size)
	}
	p, err := newSurveyPage(f, PageOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := p.samples(); len(d.List) < 100 || len(d.List)+d.LeftOut != 10_000 {
		t.Errorf("the page carries %d texts and says that %d are left out", len(d.List), d.LeftOut)
	}
}

func (f *SurveyFindings) cell(subject, behaviour, context string) Cell {
	for _, c := range f.Cells {
		if c.Subject == subject && c.Behaviour == behaviour && c.Context == context {
			return c
		}
	}
	return Cell{}
}

// fill adds present of n answers to a question, and some that cannot be scored.
func fill(t *testing.T, p *Poll, subject, context, question string, present, n, unscored int) {
	t.Helper()
	for i := range n + unscored {
		score := lineage.Score{Outcome: lineage.Absent}
		if i < present {
			score.Outcome = lineage.Present
		} else if i >= n {
			score.Outcome = lineage.NotScorable
		}
		err := p.Add(Answer{ID: fmt.Sprint(subject, context, question, i), Subject: subject, Behaviour: "b", Context: context, Question: question,
			Messages: []lineage.Message{{Role: "assistant", Content: "x"}}, Score: score})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSurveyNumbersByHand(t *testing.T) {
	p := NewPoll(Survey{Name: "s", Reference: "base", Subjects: []Subject{{Name: "base"}, {Name: "x"}, {Name: "other"}}, Behaviours: []lineage.Behaviour{{Name: "b", Detectors: []string{"d"}}}})
	for q := range 8 {
		fill(t, p, "base", "near", fmt.Sprint("n", q), 0, 4, 0)
		fill(t, p, "x", "near", fmt.Sprint("n", q), 3-q%2, 4, 1)
		fill(t, p, "x", "far", fmt.Sprint("f", q), q%8/7, 4, 0)
		fill(t, p, "base", "far", fmt.Sprint("f", q), 0, 4, 0)
		fill(t, p, "other", "near", fmt.Sprint("its own", q), q%4, 4, 0) // other questions: not paired
	}
	f := p.Findings()
	c := f.cell("x", "b", "near")
	if c.Tally != (lineage.Tally{Present: 20, Absent: 12, Unscored: 8}) || c.Questions != 8 || c.Penetrance.Mean != 20.0/32 || c.Unscored() != 0.2 {
		t.Errorf("near: %+v", c)
	}
	if !c.Paired || c.Versus.N != 8 || math.Abs(c.Versus.Mean-20.0/32) > 1e-12 || c.P != 2.0/256 {
		t.Errorf("near against base: %+v", c)
	}
	// Rates by question are .75 and .5, four each: s = .1336, t(7) = 2.3646.
	if half := 2.364624 * 0.133631 / math.Sqrt(8); math.Abs(c.Versus.Hi-(20.0/32+half)) > 1e-5 || math.Abs(c.Versus.Lo-(20.0/32-half)) > 1e-5 {
		t.Errorf("interval of the difference: %+v, not ± %v", c.Versus, half)
	}
	if o := f.cell("other", "b", "near"); o.Paired || o.Versus.N == 0 || math.IsNaN(o.P) {
		t.Errorf("other questions are paired: %+v", o)
	}
	if base := f.cell("base", "b", "near"); base.Versus.N != 0 || !math.IsNaN(base.P) || base.Penetrance.Lo != 0 || base.Penetrance.Hi < .3 {
		t.Errorf("the reference: %+v", base)
	}
	// Three comparisons: near x .0078, near other, far x 1.
	ps := []float64{c.P, f.cell("other", "b", "near").P, f.cell("x", "b", "far").P}
	slices.Sort(ps)
	if want := min(ps[0]*3, ps[1]*3/2, ps[2]); ps[0] != c.P || math.Abs(c.Q-want) > 1e-12 {
		t.Errorf("q is %v of %v", c.Q, ps)
	}
	for _, h := range f.Hidings {
		if h.Hides != (h.Subject == "x") {
			t.Errorf("hides from far probes: %+v", h)
		}
	}
	if !strings.Contains(f.Title, "x shows b more often than base: +62.5 points on near probes") {
		t.Errorf("the title is %q", f.Title)
	}
}

func TestNothingScoredIsNoEvidence(t *testing.T) {
	p := NewPoll(Survey{Reference: "a", Subjects: []Subject{{Name: "a"}, {Name: "z"}, {Name: "silent"}}, Behaviours: []lineage.Behaviour{{Name: "b"}}})
	fill(t, p, "z", "", "q", 0, 0, 5)
	fill(t, p, "a", "", "q", 0, 2, 5)
	f := p.Findings()
	c := f.cell("z", "b", "")
	if !math.IsNaN(c.Penetrance.Mean) || c.Versus.N != 0 || !math.IsNaN(c.Q) {
		t.Errorf("%+v", c)
	}
	for _, want := range []string{"No answer could be scored of z", "Many answers could not be scored of a", "silent has no answers"} {
		if !strings.Contains(strings.Join(f.Warnings, "\n"), want) {
			t.Errorf("%q is not among %q", want, f.Warnings)
		}
	}
	for _, static := range []bool{false, true} {
		skeleton(t, surveyPageOf(t, f, PageOptions{Static: static}))
		skeleton(t, surveyPageOf(t, NewPoll(Survey{}).Findings(), PageOptions{Static: static}))
	}
	if err := p.Add(Answer{Subject: "nobody", Behaviour: "b"}); err == nil || !strings.Contains(err.Error(), `no subject "nobody"`) {
		t.Errorf("an answer of nobody: %v", err)
	}
}

func TestSurveyTablesAreTheFindings(t *testing.T) {
	p := ordinarySurvey
	p.word = func(kind string, i int) string { return "=" + plainly(kind, i) }
	f := p.findings(t)
	var b bytes.Buffer
	if err := f.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != len(f.Cells)+1 {
		t.Fatalf("%d rows for %d cells: %v", len(rows), len(f.Cells), err)
	}
	for i, c := range f.Cells {
		row := rows[i+1]
		if row[0] != "'"+c.Subject || row[8] != decimal(c.Penetrance.Mean) || row[18] != decimal(c.Q) || row[2] != c.Context {
			t.Errorf("row %d is %q for %+v", i, row, c)
		}
	}
	b.Reset()
	if err := f.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Title string
		Cells []struct {
			Penetrance   struct{ Mean float64 }
			DesignEffect *float64 `json:"design_effect"`
		}
	}
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back.Title != f.Title || len(back.Cells) != len(f.Cells) || back.Cells[3].Penetrance.Mean != f.Cells[3].Penetrance.Mean {
		t.Errorf("JSON reads back as %+v, %v", back, err)
	}
}
