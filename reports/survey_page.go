package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"

	"github.com/heirloom-sim/heirloom/lineage"
)

// surveyScripts are the parts of the one script of a survey's page.
var surveyScripts = []string{"state.js", "survey.js", "paint.js", "option.js", "figures.js", "samples.js", "survey_matrix.js", "start.js"}

// surveyPage is what the template of a survey writes.
type surveyPage struct {
	*index
	shell
	Poll        *SurveyFindings
	Words       words
	Figures     []drawn
	Rows        []estimateRow
	Notes       []string // what the asterisks of Rows say
	HidingRows  []hidingRow
	HidingsLeft int // that hide nothing and are not among HidingRows
}

// words are what subjects, behaviours and contexts are called.
type words struct {
	Arm       string `json:"arm"`
	Behaviour string `json:"behaviour"`
	Line      string `json:"line"`
}

// surveyIsland is what the script of a survey's page reads.
type surveyIsland struct {
	island
	Words words      `json:"words"`
	Cells []cellData `json:"cells"`
}

// cellData is a Cell by position.
type cellData struct {
	Arm       int    `json:"a"`
	Behaviour int    `json:"b"`
	Line      int    `json:"l"`
	Mean      number `json:"mean"`
	Lo        number `json:"lo"`
	Hi        number `json:"hi"`
	Questions int    `json:"q"`
	Scored    int    `json:"n"`
	Present   int    `json:"present"`
	Unscored  int    `json:"unscored"`
	Design    number `json:"deff"`
	Versus    number `json:"dmean"`
	VersusLo  number `json:"dlo"`
	VersusHi  number `json:"dhi"`
	Q         number `json:"qv"`
	Warn      string `json:"warn,omitempty"`
}

// HTML writes the survey as one HTML file, as Findings.HTML does a study: what
// is said there of hostile text, of static figures and of equal bytes holds.
func (f *SurveyFindings) HTML(w io.Writer, o PageOptions) error {
	p, err := newSurveyPage(f, o)
	if err != nil {
		return err
	}
	return write(w, "survey.html", p)
}

func newSurveyPage(f *SurveyFindings, o PageOptions) (*surveyPage, error) {
	around, err := newShell(o, surveyScripts)
	if err != nil {
		return nil, err
	}
	p := &surveyPage{index: newIndex(f.study()), shell: around, Poll: f, Words: words{"Subject", "Behaviour", "Context"}}
	if f.Files {
		p.Words = words{"File", "Detector", "Context"}
	}
	p.Headline = cmp.Or(label(f.Title, 300), label(f.Name, 300), "Survey")
	for i, c := range f.Contexts {
		p.lines[i] = p.context(c)
	}
	options := map[string]json.RawMessage{}
	if len(f.Cells) > 0 {
		d, err := p.matrix()
		if err != nil {
			return nil, err
		}
		p.Figures = append(p.Figures, d)
		if p.Library != nil {
			options[d.ID] = d.Option
		}
	}
	p.Rows, p.HidingRows = p.rows(), p.hidings()
	data := surveyIsland{island: p.index.island(options), Words: p.Words, Cells: p.cells()}
	if p.Data, err = newBlock(data); err != nil {
		return nil, fmt.Errorf("survey: %w", err)
	}
	if p.Texts, err = newBlock(p.samples()); err != nil {
		return nil, fmt.Errorf("survey: samples: %w", err)
	}
	return p, nil
}

// study gives the survey as a study of one generation, its subjects in the place
// of arms and its contexts in that of lines, so that one page serves both.
func (f *SurveyFindings) study() *Findings {
	s := lineage.Study{
		Digest: f.Digest, Name: f.Name, Question: f.Survey.Question, Seed: f.Seed, Generations: 1, Replicates: 1,
		Behaviours: f.Behaviours, Detectors: f.Detectors, Experiment: f.Definition,
	}
	s.Lines = append(s.Lines, f.Contexts...)
	for _, x := range f.Subjects {
		s.Arms = append(s.Arms, lineage.Arm{Name: x.Name, About: x.About, Control: f.Reference != "" && x.Name == f.Reference})
	}
	return &Findings{Study: s, Title: f.Title, Setup: f.setup(), Lead: -1, Samples: f.Samples, LeftOut: f.LeftOut, Warnings: f.Warnings}
}

// setup says in a line what was done.
func (f *SurveyFindings) setup() string {
	if f.Files {
		return fmt.Sprintf("%s judged as they are by %s.", plural(len(f.Subjects), "file"), plural(len(f.Behaviours), "detector"))
	}
	text := fmt.Sprintf("%s, %s; near and far probes are never pooled.", plural(len(f.Subjects), "subject"), plural(len(f.Behaviours), "behaviour"))
	if f.Draws > 0 {
		text = fmt.Sprintf("%s, %s, %s to each probe question; near and far probes are never pooled.", plural(len(f.Subjects), "subject"), plural(len(f.Behaviours), "behaviour"), plural(f.Draws, "answer"))
	}
	return text
}

// context is how the page calls the context of a cell.
func (p *surveyPage) context(c string) string {
	if len(p.Poll.Contexts) == 1 && c == "" {
		return ""
	}
	return label(contextName(c, p.Poll.Files), 60)
}

func (p *surveyPage) cells() []cellData {
	all := []cellData{}
	for _, c := range p.Poll.Cells {
		all = append(all, cellData{
			Arm: p.arm[c.Subject], Behaviour: p.behaviour[c.Behaviour], Line: p.line[c.Context],
			Mean: p.number(c.Penetrance.Mean), Lo: p.number(c.Penetrance.Lo), Hi: p.number(c.Penetrance.Hi),
			Questions: c.Questions, Scored: c.Tally.N(), Present: c.Tally.Present, Unscored: c.Tally.Unscored, Design: p.number(c.DesignEffect),
			Versus: p.number(c.Versus.Mean), VersusLo: p.number(c.Versus.Lo), VersusHi: p.number(c.Versus.Hi), Q: p.number(c.Q),
			Warn: label(c.Penetrance.Warn, 300),
		})
	}
	return all
}
