package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

func (p *program) detect() *cli.Command {
	return &cli.Command{
		Name: "detect", Usage: "run detectors over transcripts: chat JSONL, prompt/completion JSONL, plain text, Parquet, Inspect logs",
		ArgsUsage:   "FILE…",
		Description: "The last assistant turn of every transcript is judged in its conversation, or every one with --every-turn. Rates are shown with n and a 95 % interval. Turns that answer the same question, or stand in one transcript, are not independent: where there are such, the interval is by question, and the design effect says how much that matters.",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "detector", Aliases: []string{"d"}, Usage: "`name` of a kind of detector (heirloom list detectors) or of a detector that a behaviour of the catalogue brings (heirloom behaviours); repeatable"},
			&cli.StringFlag{Name: "experiment", Usage: "use the detectors of an experiment `file` instead"},
			setFlag,
			&cli.StringFlag{Name: "format", Usage: "format of the files where their names do not tell: jsonl, chat, completion, lines, paragraphs, whole, parquet, inspect"},
			&cli.StringSliceFlag{Name: "field", Usage: "`field=key` of a row that holds it, such as --field text=statement; repeatable"},
			&cli.StringSliceFlag{Name: "where", Usage: "`key=value` that a row must have; repeatable; with --label context=VALUE alone"},
			&cli.StringFlag{Name: "label", Usage: "compare with labels: `key` of the label, or name of a count in labels"},
			&cli.StringFlag{Name: "positive", Usage: "the label `value` that means yes"},
			&cli.Float64Flag{Name: "held-out", Usage: "with --label: leave out the `share` of transcripts that a classifier with that split was trained on"},
			&cli.BoolFlag{Name: "every-turn", Usage: "judge every assistant turn with its context, not the last one alone"},
			&cli.StringFlag{Name: "html", Usage: "also write a page with the table and a sample of the transcripts to `file`, - for stdout"},
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
				if c.String("html") != "" || c.Bool("every-turn") || c.Bool("json") || c.String("format") != "" {
					return usage("--label compares with labels, in rows of JSON; --html, --json, --every-turn and --format show what is found without them")
				}
				return p.compare(c, instruments)
			}
			if c.IsSet("positive") || c.IsSet("held-out") {
				return usage("--positive and --held-out go with --label KEY, which compares with labels")
			}
			if c.Bool("json") && c.String("html") == "-" {
				return usage("--json and --html - both write to stdout; give the page a file")
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
	for _, name := range c.StringSlice("detector") {
		open := func() (*sim.Detector, error) { return sim.OpenDetector(name, ".", settings, means) }
		if slices.Contains(sim.CatalogueDetectors(), name) {
			open = func() (*sim.Detector, error) { return openDetector(c, name, means) }
		}
		d, err := open()
		if err != nil {
			for _, open := range all {
				open.Close()
			}
			return nil, err
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, usage("detect needs --detector NAME or --experiment FILE; heirloom list detectors shows the kinds, and heirloom behaviours what the catalogue brings")
	}
	return all, nil
}

func options(c *cli.Context) (o corpus.Options, err error) {
	o = corpus.Options{Format: corpus.Format(c.String("format")), Turns: wholeContext, Final: true}
	if c.Bool("every-turn") {
		o.Turns, o.Final = contextTurns, false
	}
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

// compare holds detectors against labelled rows.
func (p *program) compare(c *cli.Context, instruments []*sim.Detector) error {
	fields, err := labelFields(c)
	if err != nil {
		return err
	}
	context, filtered := "", false
	for _, pair := range c.StringSlice("where") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key != "context" || filtered {
			return usage("--where %s: with --label one context=VALUE is known, such as context=far", pair)
		}
		context, filtered = value, true
	}
	split := detectors.Split{}
	if share := c.Float64("held-out"); c.IsSet("held-out") {
		if !(share > 0 && share < 1) {
			return usage("--held-out: %v is not within (0,1)", share)
		}
		split = detectors.Split{Part: "test", Share: share}
	}
	w := newQualityTable(p.out, "file\tdetector")
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
		if filtered {
			if rows, err = within(rows, context); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		rows = slices.DeleteFunc(rows, func(r detectors.Labelled) bool { return !split.Keep(r.Group) })
		if len(rows) == 0 {
			return fmt.Errorf("%s: no labelled row is there to compare with; look at the file, and at --held-out where it is given", path)
		}
		for _, d := range instruments {
			_, all, err := (&sim.Truth{Source: path, Rows: rows}).Measure(c.Context, "", d)
			if err != nil {
				return err
			}
			w.row(path+"\t"+d.Name, all)
		}
	}
	return w.Flush()
}

// within keeps the rows of one context.
func within(rows []detectors.Labelled, context string) (kept []detectors.Labelled, err error) {
	var known []string
	for _, r := range rows {
		if r.Context == context {
			kept = append(kept, r)
		} else if name := strconv.Quote(r.Context); !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	if kept == nil {
		return nil, fmt.Errorf("--where context=%s keeps none of its %d labelled rows; their contexts are %s", context, len(rows), strings.Join(known, ", "))
	}
	return kept, nil
}
