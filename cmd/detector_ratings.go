package cmd

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
	"github.com/urfave/cli/v2"
)

// ratings are what raters said of items: 1, 0, or NaN for nothing.
type ratings struct {
	raters  []string
	said    [][]float64 // by rater, by item
	cluster []int       // of an item: items of one cluster are not independent
	what    string      // the items, for people
	of      string      // the clusters, for people
	notes   []string
}

// rater gives the row of a rater, made where it is new.
func (t *ratings) rater(name string) []float64 {
	for i, known := range t.raters {
		if known == name {
			return t.said[i]
		}
	}
	row := make([]float64, len(t.cluster))
	for i := range row {
		row[i] = math.NaN()
	}
	t.raters, t.said = append(t.raters, name), append(t.said, row)
	return row
}

// runRatings collects what is known of a run's texts.
func runRatings(c *cli.Context) (*ratings, error) {
	if len(c.StringSlice("detector")) > 0 {
		return nil, usage("--detector is for files; heirloom score scores a run by another detector")
	}
	ledger, study, err := folder(c.Args().First()).read(c.String("study"))
	if err != nil {
		return nil, err
	}
	defer ledger.Close()
	of, err := behaviour(c, study)
	if err != nil {
		return nil, err
	}
	part := c.String("part")
	if part != "" && part != lineage.Outputs && part != lineage.Probes {
		return nil, usage("--part %q: it is outputs or probes", part)
	}
	judged, err := sim.Judged(ledger, study, of, part, c.Bool("all"))
	if err != nil {
		return nil, err
	}
	t := &ratings{cluster: judged.Replicate, of: "replicates", what: fmt.Sprintf("texts of %s", study.Name)}
	if judged.Labelled {
		t.what = "labelled " + t.what
	}
	for i, name := range judged.Detectors {
		copy(t.rater("detector "+name), judged.Said[i])
	}
	for i, name := range judged.Labellers {
		copy(t.rater(name), judged.Labels[i])
	}
	if judged.Contradictions > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%d labels contradict another label of the same text by the same labeller; both are left out", judged.Contradictions))
	}
	return t, nil
}

// fileRatings reads files of the same rows; a row is found again by its messages.
func (p *program) fileRatings(c *cli.Context) (*ratings, error) {
	fields, err := labelFields(c)
	if err != nil {
		return nil, err
	}
	t := &ratings{of: "groups", what: "rows"}
	at, group := map[string]int{}, map[string]int{}
	var us []detectors.Utterance
	var files []*sim.Truth
	for _, path := range c.Args().Slice() {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		truth, err := sim.ReadTruth(f, path, fields, true)
		f.Close()
		if err != nil {
			return nil, err
		}
		files = append(files, truth)
		for _, row := range truth.Rows {
			key := said(row.Utterance)
			if _, ok := at[key]; ok {
				continue
			}
			if _, ok := group[row.Group]; !ok {
				group[row.Group] = len(group)
			}
			at[key] = len(us)
			us, t.cluster = append(us, row.Utterance), append(t.cluster, group[row.Group])
		}
	}
	for i, name := range raterNames(c.Args().Slice()) {
		row, seen, both := t.rater(name), map[int]bool{}, map[int]bool{}
		for _, r := range files[i].Rows {
			k, v := at[said(r.Utterance)], 0.0
			if r.Positive {
				v = 1
			}
			both[k] = both[k] || seen[k] && row[k] != v
			row[k], seen[k] = v, true
		}
		for k := range both {
			if both[k] {
				row[k] = math.NaN()
				t.notes = append(t.notes, fmt.Sprintf("%s labels one text both ways; it is left out", name))
			}
		}
	}
	for _, name := range c.StringSlice("detector") {
		if err := p.rate(c, t, name, us); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// rate adds a detector to the raters of files. What it learned from is left out.
func (p *program) rate(c *cli.Context, t *ratings, name string, us []detectors.Utterance) error {
	d, err := openDetector(c, name, p.means())
	if err != nil {
		return err
	}
	defer d.Close()
	rows := make([]detectors.Labelled, len(us))
	for i := range us {
		rows[i].Utterance = us[i]
	}
	results, heldOut, err := detectors.Answers(c.Context, d.Detector, rows)
	if err != nil {
		return fmt.Errorf("detector %s: %w", name, err)
	}
	if heldOut > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%s learned from %d of the rows; of those it says what it would say without them", name, heldOut))
	}
	row := t.rater("detector " + name)
	for i, r := range results {
		switch r.Outcome {
		case detectors.Present:
			row[i] = 1
		case detectors.Absent:
			row[i] = 0
		}
	}
	return nil
}

func said(u detectors.Utterance) string {
	var b strings.Builder
	for _, m := range u.Messages {
		fmt.Fprintf(&b, "%q %q ", m.Role, m.Content)
	}
	return b.String()
}

// raterNames are the files' base names where those tell them apart.
func raterNames(paths []string) []string {
	names, seen := make([]string, len(paths)), map[string]bool{}
	for i, path := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(path), ".jsonl")
		if seen[names[i]] {
			return paths
		}
		seen[names[i]] = true
	}
	return names
}
