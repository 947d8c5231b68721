package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/reports"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

// Messages before a judged turn that are its context: all of them where one turn
// of a transcript is judged; fewer where all are, since each is told anew.
const (
	wholeContext = 1 << 20
	contextTurns = 64
)

// detection is one line of --json.
type detection struct {
	File     string           `json:"file"`
	Row      int              `json:"row"`  // of the file, from 0
	Turn     int              `json:"turn"` // among the judged turns of the file, from 0
	ID       json.RawMessage  `json:"id,omitempty"`
	Epoch    json.RawMessage  `json:"epoch,omitempty"`
	Detector string           `json:"detector"`
	Outcome  string           `json:"outcome"`
	Score    *float64         `json:"score"` // null: not scorable
	Spans    []detectors.Span `json:"spans,omitempty"`
	Reason   string           `json:"reason,omitempty"`
}

// reading judges files of transcripts as they are read, batch by batch.
type reading struct {
	*program
	instruments []*sim.Detector
	poll        *reports.Poll
	json        bool
	path        string
	row         int    // of the last document
	question    string // that its row answers
	docs        []corpus.Document
	questions   []string // parallel to docs
	turn        int      // of docs[0]
}

func (p *program) detectFiles(c *cli.Context, instruments []*sim.Detector) error {
	o, err := options(c)
	if err != nil {
		return err
	}
	survey := reports.Survey{Name: "detect", Files: true, Seed: 1}
	for i, path := range c.Args().Slice() {
		for _, before := range c.Args().Slice()[:i] {
			if path == before {
				return usage("%s is given twice; its turns would count double", path)
			}
		}
		survey.Subjects = append(survey.Subjects, reports.Subject{Name: path})
	}
	for _, d := range instruments {
		survey.Behaviours = append(survey.Behaviours, lineage.Behaviour{Name: d.Name, Title: d.Name, Detectors: []string{d.Name}})
		survey.Detectors = append(survey.Detectors, lineage.Detector{Name: d.Name, Kind: d.Kind, Digest: d.Digest})
	}
	r := &reading{program: p, instruments: instruments, poll: reports.NewPoll(survey), json: c.Bool("json")}
	for _, path := range c.Args().Slice() {
		if err := r.file(c, path, o); err != nil {
			return err
		}
	}
	findings := r.poll.Findings()
	if path := c.String("html"); path != "" {
		page := reports.PageOptions{Version: version(), Command: commandLine(c, "html", "json")}
		if err := p.write(path, func(w io.Writer) error { return findings.HTML(w, page) }); err != nil {
			return err
		}
	}
	if r.json || c.String("html") == "-" {
		return nil
	}
	return p.detectTable(findings, c.Args().Slice())
}

func (r *reading) file(c *cli.Context, path string, o corpus.Options) error {
	r.path, r.row, r.turn = path, -1, 0
	for doc, err := range corpus.Stream(path, o) {
		if err != nil {
			return err
		}
		if doc.Origin.Row != r.row { // the first turn of a row has the question in its context
			r.row, r.question = doc.Origin.Row, sim.Opening(doc.Messages, strconv.Itoa(doc.Origin.Row))
		}
		r.docs, r.questions = append(r.docs, doc), append(r.questions, r.question)
		if len(r.docs) == 256 {
			if err := r.judge(c); err != nil {
				return err
			}
		}
	}
	return r.judge(c)
}

// judge has every detector judge what was read.
func (r *reading) judge(c *cli.Context) error {
	us := make([]detectors.Utterance, len(r.docs))
	for i, doc := range r.docs {
		us[i].Messages = doc.Messages
	}
	for _, d := range r.instruments {
		if len(us) == 0 {
			break
		}
		results, err := d.Detect(c.Context, us)
		if err == nil && len(results) != len(us) {
			err = fmt.Errorf("gave %d results for %d texts", len(results), len(us))
		}
		if err != nil {
			return fmt.Errorf("%s: detector %s: %w", r.path, d.Name, err)
		}
		for i, result := range results {
			if r.json {
				r.line(d.Name, i, result)
			}
			doc := r.docs[i]
			err := r.poll.Add(reports.Answer{
				ID: r.called(doc), Subject: r.path, Behaviour: d.Name, Question: r.questions[i], Messages: doc.Messages, Score: sim.Recorded(result),
			})
			if err != nil {
				return err
			}
		}
	}
	r.turn += len(r.docs)
	r.docs, r.questions = r.docs[:0], r.questions[:0]
	return nil
}

func (r *reading) line(detector string, i int, result detectors.Result) {
	doc := r.docs[i]
	out := detection{
		File: r.path, Row: doc.Origin.Row, Turn: r.turn + i, ID: scalar(doc.Extra["id"]), Epoch: scalar(doc.Extra["epoch"]),
		Detector: detector, Outcome: result.Outcome.String(), Spans: result.Spans, Reason: result.Reason,
	}
	if result.Outcome != detectors.NotScorable {
		out.Score = &result.Score
	}
	r.emit(out)
}

// scalar keeps what can name a row.
func scalar(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || len(raw) > 200 || raw[0] == '{' || raw[0] == '[' {
		return nil
	}
	return raw
}

// called is how a reader finds a document again.
func (r *reading) called(doc corpus.Document) string {
	name := fmt.Sprintf("%s row %d", r.path, doc.Origin.Row+1)
	if id := scalar(doc.Extra["id"]); id != nil {
		name += fmt.Sprintf(", id %s", id)
	}
	if epoch := scalar(doc.Extra["epoch"]); epoch != nil {
		name += fmt.Sprintf(", epoch %s", epoch)
	}
	return fmt.Sprintf("%s, turn %d", name, len(doc.Messages))
}

// detectTable shows the counts of every file and detector. Where several turns
// answer one question, the interval is by question, and two columns say so.
func (p *program) detectTable(f *reports.SurveyFindings, files []string) error {
	repeated := false
	for _, c := range f.Cells {
		repeated = repeated || c.Questions < c.Tally.N()+c.Tally.Unscored
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	head := "file\tdetector\tturns\tpresent\tabsent\tnot scorable\tprevalence\t95 % interval"
	if repeated {
		head += "\tquestions\tdesign effect"
	}
	fmt.Fprintln(w, head)
	for _, file := range files {
		for _, c := range f.Cells {
			if c.Subject != file {
				continue
			}
			t := c.Tally
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s", c.Subject, c.Behaviour, t.N()+t.Unscored, t.Present, t.Absent, t.Unscored, rated(c.Penetrance.Mean), ranged(c.Penetrance))
			if repeated {
				fmt.Fprintf(w, "\t%d\t%s", c.Questions, ratio(c.DesignEffect))
			}
			fmt.Fprintln(w)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, warning := range append(notesOf(f), f.Warnings...) {
		fmt.Fprintln(p.err, "note: "+warning)
	}
	return nil
}

// notesOf are what intervals say of themselves, each once.
func notesOf(f *reports.SurveyFindings) (notes []string) {
	seen := map[string]bool{}
	for _, c := range f.Cells {
		if w := c.Penetrance.Warn; w != "" && !seen[w] && c.Tally.N() > 0 {
			seen[w] = true
			notes = append(notes, w)
		}
	}
	return notes
}

// commandLine is the command as it was given, but for some of its flags.
func commandLine(c *cli.Context, without ...string) string {
	words := []string{"heirloom", c.Command.Name}
	for _, a := range c.Args().Slice() {
		words = append(words, quoted(a))
	}
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) || slices.Contains(without, name) {
			continue
		}
		switch f.(type) {
		case *cli.StringSliceFlag:
			for _, v := range c.StringSlice(name) {
				words = append(words, "--"+name, quoted(v))
			}
		case *cli.BoolFlag:
			words = append(words, "--"+name)
		default:
			words = append(words, "--"+name, quoted(fmt.Sprint(c.Value(name))))
		}
	}
	return strings.Join(words, " ")
}
