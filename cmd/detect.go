package cmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) detect() *cli.Command {
	return &cli.Command{
		Name: "detect", Usage: "run detectors over transcripts: chat JSONL, prompt/completion JSONL, plain text, Parquet",
		ArgsUsage:   "FILE…",
		Description: "Every assistant turn is judged in its conversation. Rates are shown with n and a 95 % interval over turns (Wilson; Clopper-Pearson up to five); turns of one transcript are not independent, so the interval is a lower bound on the uncertainty.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "detector", Aliases: []string{"d"}, Usage: "`kind` of detector; repeatable; heirloom list detectors shows them"},
			&cli.StringFlag{Name: "experiment", Usage: "use the detectors of an experiment `file` instead"},
			setFlag,
			&cli.StringFlag{Name: "format", Usage: "format of the files where their names do not tell: jsonl, chat, completion, lines, paragraphs, whole, parquet"},
			&cli.StringSliceFlag{Name: "field", Usage: "`field=key` of a row that holds it, such as --field text=statement; repeatable"},
			&cli.StringSliceFlag{Name: "where", Usage: "`key=value` that a row must have; repeatable"},
			&cli.StringFlag{Name: "label", Usage: "compare with labels: `key` of the label, or name of a count in labels"},
			&cli.StringFlag{Name: "positive", Usage: "the label `value` that means yes"},
			&cli.Float64Flag{Name: "held-out", Usage: "with --label: leave out the `share` of transcripts that a classifier with that split was trained on"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON result a turn and detector on stdout"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("detect needs at least one file of transcripts")
			}
			instruments, err := p.instruments(c)
			if err != nil {
				return err
			}
			defer func() {
				for _, d := range instruments {
					d.Close()
				}
			}()
			if c.String("label") != "" {
				return p.compare(c, instruments)
			}
			return p.detectFiles(c, instruments)
		},
	}
}

// instruments opens the detectors that the command line names.
func (p *program) instruments(c *cli.Context) (all []*sim.Detector, err error) {
	settings, err := overrides(c)
	if err != nil {
		return nil, err
	}
	if path := c.String("experiment"); path != "" {
		if len(c.StringSlice("detector")) > 0 {
			return nil, usage("--experiment and --detector exclude each other")
		}
		f, err := sim.Load(path, filepath.Dir(path), settings)
		if err != nil {
			return nil, err
		}
		f.Means = p.means()
		return f.Detectors()
	}
	means := p.means()
	for _, kind := range c.StringSlice("detector") {
		d, err := sim.OpenDetector(kind, ".", settings, means)
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, err
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, usage("detect needs --detector KIND or --experiment FILE; heirloom list detectors shows the kinds")
	}
	return all, nil
}

// contextTurns is how many messages of a conversation a judged turn keeps.
const contextTurns = 64

func options(c *cli.Context) (o corpus.Options, err error) {
	o = corpus.Options{Format: corpus.Format(c.String("format")), Turns: contextTurns}
	for flag, m := range map[string]*map[string]string{"field": &o.Fields, "where": &o.Where} {
		for _, pair := range c.StringSlice(flag) {
			key, value, ok := strings.Cut(pair, "=")
			if !ok {
				return o, usage("--%s %s: write it as key=value", flag, pair)
			}
			if *m == nil {
				*m = map[string]string{}
			}
			(*m)[key] = value
		}
	}
	return o, nil
}

// detection is one line of --json.
type detection struct {
	File     string           `json:"file"`
	Turn     int              `json:"turn"` // among the judged turns of the file, from 0
	Detector string           `json:"detector"`
	Outcome  string           `json:"outcome"`
	Score    *float64         `json:"score"` // null: not scorable
	Spans    []detectors.Span `json:"spans,omitempty"`
	Reason   string           `json:"reason,omitempty"`
}

func (p *program) detectFiles(c *cli.Context, instruments []*sim.Detector) error {
	o, err := options(c)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	if !c.Bool("json") {
		fmt.Fprintln(w, "file\tdetector\tturns\tpresent\tabsent\tnot scorable\tprevalence\t95 % interval")
	}
	for _, path := range c.Args().Slice() {
		f, err := corpus.Open(path, o)
		if err != nil {
			return err
		}
		for _, d := range instruments {
			tally, err := p.judge(c.Context, path, f, d, c.Bool("json"))
			if err != nil {
				f.Close()
				return err
			}
			if !c.Bool("json") {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", path, d.Name, f.Len(), tally.Present, tally.Absent, tally.Unscored, rate(tally.Present, tally.N()))
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return w.Flush()
}

func rate(k, n int) string {
	if n == 0 {
		return "–\t–"
	}
	lo, hi := popgen.Proportion(k, n)
	return fmt.Sprintf("%.1f %%\t%.1f – %.1f %%", 100*float64(k)/float64(n), 100*lo, 100*hi)
}

func (p *program) judge(ctx context.Context, path string, f *corpus.File, d *sim.Detector, each bool) (tally lineage.Tally, err error) {
	const batch = 512
	for first := 0; first < f.Len(); first += batch {
		us := make([]detectors.Utterance, min(batch, f.Len()-first))
		for i := range us {
			doc, err := f.Document(first + i)
			if err != nil {
				return tally, err
			}
			us[i].Messages = doc.Messages
		}
		results, err := d.Detect(ctx, us)
		if err != nil {
			return tally, fmt.Errorf("%s: detector %s: %w", path, d.Name, err)
		}
		for i, r := range results {
			tally.Add(uint8(r.Outcome))
			if !each {
				continue
			}
			out := detection{File: path, Turn: first + i, Detector: d.Name, Outcome: r.Outcome.String(), Spans: r.Spans, Reason: r.Reason}
			if r.Outcome != detectors.NotScorable {
				out.Score = &r.Score
			}
			p.emit(out)
		}
	}
	return tally, nil
}

// compare holds detectors against labelled rows.
func (p *program) compare(c *cli.Context, instruments []*sim.Detector) error {
	fields := detectors.Fields{Label: c.String("label"), Positive: c.String("positive")}
	for _, pair := range c.StringSlice("field") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key != "text" {
			return usage("--field %s: with --label only text=KEY is known", pair)
		}
		fields.Text = value
	}
	split := detectors.Split{}
	if share := c.Float64("held-out"); c.IsSet("held-out") {
		if !(share > 0 && share < 1) {
			return usage("--held-out: %v is not within (0,1)", share)
		}
		split = detectors.Split{Part: "test", Share: share}
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "file\tdetector\trows\tpositive\tnot scorable\tAUC\tsensitivity\tspecificity")
	for _, path := range c.Args().Slice() {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		rows, err := detectors.ReadLabelled(f, path, fields)
		f.Close()
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r detectors.Labelled) bool { return !split.Keep(r.Group) })
		for _, d := range instruments {
			q, err := detectors.Evaluate(c.Context, d.Detector, rows, "")
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%.3f\t%.3f\t%.3f\n", path, d.Name, q.N, q.Positives, q.NotScorable, q.AUC, q.Sensitivity, q.Specificity)
		}
	}
	return w.Flush()
}
