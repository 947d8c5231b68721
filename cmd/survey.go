package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/store"
	"github.com/heirloom-sim/heirloom/reports"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/urfave/cli/v2"
)

func (p *program) survey() *cli.Command {
	return &cli.Command{
		Name: "survey", Usage: "tell which of several models show which behaviours: transcripts, stand-ins, models behind an endpoint",
		ArgsUsage: "[FILE]",
		Description: "Asks every model the probe conversations of every behaviour and judges the answers; transcripts are judged as they are. " +
			"Answers are kept: a survey that was stopped goes on, and more draws, behaviours or models extend it. " +
			"A survey is a file, or flags: --model base=ngram:web/everyday --model mine=transcripts.jsonl --model big=http://localhost:8000/v1#name.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "model", Aliases: []string{"m"}, Usage: "`name=what`: a file of transcripts, backend:source, or the address of a server with #model; repeatable"},
			&cli.StringSliceFlag{Name: "behaviour", Aliases: []string{"b"}, Usage: "`name` of a behaviour of the catalogue; repeatable; all of them where none is given"},
			&cli.StringFlag{Name: "reference", Usage: "`name` of the model that the others are compared with"},
			&cli.IntFlag{Name: "draws", DefaultText: "4", Usage: "answers to each probe conversation"},
			setFlag,
			&cli.StringFlag{Name: "folder", Usage: "`folder` that keeps the answers; NAME.heirloom where it is not given"},
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "HTML `file`; FOLDER/survey.html where it is not given, - for stdout"},
			&cli.StringFlag{Name: "csv", Usage: "also write the numbers as CSV to `file`, - for stdout"},
			&cli.StringFlag{Name: "json", Usage: "also write the numbers as JSON to `file`, - for stdout"},
			&cli.IntFlag{Name: "parallel", Value: 8, Usage: "requests in flight at an endpoint; results do not depend on it"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress"},
		},
		Action: p.surveyAction,
	}
}

func (p *program) surveyAction(c *cli.Context) error {
	if c.Int("parallel") < 1 {
		return usage("--parallel: %d is less than 1", c.Int("parallel"))
	}
	f, err := surveyFile(c)
	if err != nil {
		return err
	}
	f.Means = p.means()
	study, err := sim.CompileSurvey(f)
	if err != nil {
		return err
	}
	defer study.Close()
	where := folder(c.String("folder"))
	if where == "" {
		where = folder(f.Survey.Name + ".heirloom")
	}
	if err := os.MkdirAll(string(where), 0o755); err != nil {
		return err
	}
	ledger, err := store.Create(where.ledger(), store.Options{})
	if err != nil {
		return err
	}
	defer ledger.Close()
	poll := reports.NewPoll(surveyed(study.Record))
	runner := &sim.SurveyRunner{Study: study, Ledger: ledger, Parallel: c.Int("parallel"), Report: p.surveyProgress(c)}
	if err := runner.Run(c.Context, func(a sim.SurveyAnswer) error { return poll.Add(reports.Answer(a)) }); err != nil {
		return surveyStopped(c, where, err)
	}
	return p.surveyReport(c, poll.Findings(), where)
}

// surveyStopped words the end of a survey that is not complete.
func surveyStopped(c *cli.Context, where folder, err error) error {
	again := commandLine(c)
	if errors.Is(err, context.Canceled) {
		return fault{exitInterrupted, fmt.Errorf("interrupted; every answer that was given is kept. Go on with:\n  %s", again)}
	}
	return fmt.Errorf("%w\nWhat was answered is kept in %s. Once the cause is mended, go on with:\n  %s", err, where, again)
}

// surveyed is a survey as its report knows it.
func surveyed(r sim.SurveyRecord) reports.Survey {
	s := reports.Survey{
		Name: r.Name, Question: r.Question, Digest: r.Digest, Seed: r.Seed, Behaviours: r.Behaviours, Detectors: r.Detectors,
		Reference: r.Reference, Draws: r.Draws, Definition: r.Survey,
	}
	for _, x := range r.Subjects {
		s.Subjects = append(s.Subjects, reports.Subject{Name: x.Name, About: x.About})
	}
	return s
}

// surveyFile reads the survey that the command line names or spells out.
func surveyFile(c *cli.Context) (*sim.SurveyFile, error) {
	set, err := overrides(c)
	if err != nil {
		return nil, err
	}
	spelled := len(c.StringSlice("model"))+len(c.StringSlice("behaviour")) > 0 || c.IsSet("reference") || c.IsSet("draws")
	switch {
	case c.NArg() > 1:
		return nil, usage("survey takes one file; it was given %d", c.NArg())
	case c.NArg() == 1 && spelled:
		return nil, usage("a survey is a file, or --model, --behaviour, --reference and --draws; change a file with --set, such as --set draws=8")
	case c.NArg() == 1:
		return sim.LoadSurvey(c.Args().First(), filepath.Dir(c.Args().First()), set)
	case len(c.StringSlice("model")) == 0:
		return nil, usage("survey needs a file or --model name=what; heirloom survey --help shows what a model may be")
	}
	text, err := spelledOut(c)
	if err != nil {
		return nil, err
	}
	return sim.ParseSurvey("the command line", ".", text, set)
}

// spelledOut is the survey of the flags, as the file that says the same: JSON is YAML.
func spelledOut(c *cli.Context) ([]byte, error) {
	behaviours, subjects, sources := map[string]any{}, map[string]any{}, map[string]any{}
	for _, name := range c.StringSlice("behaviour") {
		behaviours[name] = map[string]any{}
	}
	if len(behaviours) == 0 {
		for _, name := range catalogue.Behaviours() {
			behaviours[name] = map[string]any{}
		}
	}
	for _, text := range c.StringSlice("model") {
		name, what, ok := strings.Cut(text, "=")
		if !ok || name == "" || what == "" {
			return nil, usage("--model %s: write it as name=what, such as base=ngram:web/everyday", text)
		}
		if subjects[name] != nil {
			return nil, usage("--model %s: there are two models of that name", name)
		}
		subjects[name] = subject(what, sources)
	}
	survey := map[string]any{"survey": sim.Format, "subjects": subjects, "behaviours": behaviours, "sources": sources}
	if c.IsSet("reference") {
		survey["reference"] = c.String("reference")
	}
	if c.IsSet("draws") {
		survey["draws"] = c.Int("draws")
	}
	return json.Marshal(survey)
}

// subject reads what a model is: the address of a server, a backend with a
// source, or else a file of transcripts.
func subject(what string, sources map[string]any) map[string]any {
	if strings.HasPrefix(what, "http://") || strings.HasPrefix(what, "https://") {
		at, model, _ := strings.Cut(what, "#")
		return map[string]any{"endpoint": map[string]any{"base_url": at}, "model": model}
	}
	if kind, source, ok := strings.Cut(what, ":"); ok {
		if _, known := lineage.Lookup(kind); known {
			if _, builtin := catalogue.Corpus(source); !builtin && source != "" {
				sources[source] = map[string]any{"file": source}
			}
			return map[string]any{"backend": kind, "source": source}
		}
	}
	return map[string]any{"transcripts": what}
}

// surveyProgress tells how far a survey is, a line a subject and behaviour.
func (p *program) surveyProgress(c *cli.Context) func(sim.SurveyEvent) {
	if c.Bool("quiet") {
		return nil
	}
	return func(e sim.SurveyEvent) {
		if p.width > 0 && e.Done%16 != 0 && e.Done != e.Total {
			return // a terminal is slower than a stand-in
		}
		line := fmt.Sprintf("%s, %s: %d of %d replies", e.Subject, e.Behaviour, e.Done, e.Total)
		switch {
		case p.width > 0:
			end := ""
			if e.Done == e.Total {
				end = "\n"
			}
			fmt.Fprintf(p.terminal, "\r\x1b[K%s%s", cut(printed(line), p.width-1), end)
		case e.Done == e.Total && e.Total > 0:
			fmt.Fprintf(p.err, "%s, %d of them recalled\n", line, e.Recalled)
		}
	}
}

// printed is text with control characters made visible.
func printed(s string) string {
	var b strings.Builder
	printable{&b}.Write([]byte(s))
	return b.String()
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n && n > 0 {
		return string(r[:n])
	}
	return s
}

func (p *program) surveyReport(c *cli.Context, f *reports.SurveyFindings, where folder) error {
	toStdout := false
	for _, table := range []struct {
		flag  string
		write func(io.Writer) error
	}{{"csv", f.CSV}, {"json", f.JSON}} {
		if path := c.String(table.flag); path != "" {
			toStdout = toStdout || path == "-"
			if err := p.write(path, table.write); err != nil {
				return err
			}
		}
	}
	path := c.String("out")
	if path == "" {
		path = filepath.Join(string(where), "survey.html")
	}
	// Where things are written decides nothing that the page shows.
	page := reports.PageOptions{Version: version(), Command: commandLine(c, "folder", "out", "csv", "json", "parallel", "quiet")}
	if err := p.write(path, func(w io.Writer) error { return f.HTML(w, page) }); err != nil {
		return err
	}
	if toStdout || path == "-" {
		return nil
	}
	if err := p.surveyTable(f); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "\n%s\nreport: %s\n", f.Title, path)
	return nil
}
