package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// Truth is labelled rows: what detectors are measured on.
type Truth struct {
	Source     string // where they are from, for people
	Digest     string // of the rows as they were read
	Rows       []detectors.Labelled
	Unlabelled int // rows whose label is null, where they are not faults
}

// ReadTruth reads labelled rows. With nulls, rows whose label is null are left out
// and counted, instead of being faults.
func ReadTruth(r io.Reader, source string, f detectors.Fields, nulls bool) (*Truth, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	t := &Truth{Source: source, Digest: digest(data)}
	if f != (detectors.Fields{}) {
		t.Digest = digest(data, []byte(f.Text), []byte(f.Label), []byte(f.Positive))
	}
	if nulls {
		f.Skipped = &t.Unlabelled
	}
	if t.Rows, err = detectors.ReadLabelled(bytes.NewReader(data), source, f); err != nil {
		return nil, err
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("%s: has no labelled rows", source)
	}
	return t, nil
}

// truth opens the labelled rows that a behaviour names: a source of the world, a
// corpus of the catalogue, or a file.
func (r *resources) truth(w *World, name string) (*Truth, error) {
	spec := w.Sources[name]
	if spec == nil {
		spec = &Source{File: name}
		if _, ok := catalogue.Corpus(name); ok {
			spec = &Source{Builtin: name}
		}
	}
	fields, err := labelFields(spec)
	if err != nil {
		return nil, err
	}
	if spec.Builtin != "" {
		data, ok := catalogue.Corpus(spec.Builtin)
		if !ok {
			return nil, errors.New(unknown("catalogue corpus", spec.Builtin, catalogue.Corpora()))
		}
		return ReadTruth(bytes.NewReader(data), spec.Builtin+".jsonl", fields, false)
	}
	f, err := os.Open(r.path(spec.File))
	if errors.Is(err, fs.ErrNotExist) && w.Sources[name] == nil {
		known := append(slices.Collect(maps.Keys(w.Sources)), catalogue.Corpora()...)
		return nil, fmt.Errorf("there is no file %s; %s", r.path(name), unknown("source", name, known))
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadTruth(f, spec.File, fields, false)
}

// labelFields are the options of a source that labelled rows can have.
func labelFields(s *Source) (f detectors.Fields, err error) {
	o := s.Options
	f.Text, f.Label = o.Fields["text"], o.Label
	if len(o.Fields) > 1 || len(o.Fields) == 1 && f.Text == "" || o.Where != nil || o.LabelMin != nil || o.LabelMax != nil || o.Max != 0 ||
		o.Format != "" && o.Format != "jsonl" {
		return f, errors.New("the source of labels is JSONL and may have fields.text and label, and no other option")
	}
	return f, nil
}

// Calibrate measures a detector on the rows. No row is judged by what the detector
// learned from it: a classifier says what it would say without the row, and rows
// that a part of a combined detector learned from are left out.
func (t *Truth) Calibrate(ctx context.Context, behaviour string, d *Detector) (lineage.Calibration, error) {
	c, _, err := t.Measure(ctx, behaviour, d)
	return c, err
}

// Measure is Calibrate, with the counts over all contexts beside it.
func (t *Truth) Measure(ctx context.Context, behaviour string, d *Detector) (lineage.Calibration, lineage.Confusion, error) {
	fail := func(err error) (lineage.Calibration, lineage.Confusion, error) {
		return lineage.Calibration{}, lineage.Confusion{}, fmt.Errorf("calibrate %s on %s: %w", d.Name, t.Source, err)
	}
	rows := slices.DeleteFunc(slices.Clone(t.Rows), func(l detectors.Labelled) bool { return d.partLearned(l.Utterance) })
	if len(rows) == 0 {
		return fail(errors.New("it is made of detectors that learned from every row; give labels that they did not learn from"))
	}
	results, heldOut, err := detectors.Answers(ctx, d.Detector, rows)
	if err != nil {
		return fail(err)
	}
	c := lineage.Calibration{
		Behaviour: behaviour, Detector: d.Name, Digest: d.Digest, Labels: t.Digest, Source: t.Source,
		Method: method(len(t.Rows), len(t.Rows)-len(rows), heldOut),
	}
	for _, counted := range detectors.Confusions(results, rows) {
		c.Contexts = append(c.Contexts, confusion(counted))
	}
	return c, confusion(detectors.Overall(results, rows)), nil
}

// partLearned tells whether something that the detector is made of learned from a text.
func (d *Detector) partLearned(u detectors.Utterance) bool {
	return slices.ContainsFunc(d.uses, func(part *Detector) bool {
		if learned, ok := part.Detector.(detectors.Learned); ok {
			if _, held := learned.HeldOut(u); held {
				return true
			}
		}
		return part.partLearned(u)
	})
}

func method(rows, leftOut, heldOut int) string {
	var apart []string
	if heldOut > 0 {
		apart = append(apart, fmt.Sprintf("%d that the detector learned from are judged by cross-validation", heldOut))
	}
	if leftOut > 0 {
		apart = append(apart, fmt.Sprintf("%d that a part of it learned from are left out", leftOut))
	}
	if apart == nil {
		return fmt.Sprintf("%d labelled rows, none of which the detector learned from", rows)
	}
	return fmt.Sprintf("%d labelled rows; %s", rows, strings.Join(apart, "; "))
}

func confusion(c detectors.Confusion) lineage.Confusion {
	return lineage.Confusion{
		Context: c.Context, TruePositives: c.TruePositives, FalseNegatives: c.FalseNegatives,
		FalsePositives: c.FalsePositives, TrueNegatives: c.TrueNegatives, NotScorable: c.NotScorable(),
		AUC: known(c.AUC), AUCLo: known(c.AUCLo), AUCHi: known(c.AUCHi),
	}
}

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// calibrate records how every detector does on the labelled rows of its behaviour,
// once for each digest of both. It is no part of any node: rates are corrected when
// they are read.
func (r *Runner) calibrate(ctx context.Context) error {
	byName := map[string]*Detector{}
	for _, d := range r.Study.detectors {
		byName[d.Name] = d
	}
	for _, b := range r.Study.Record.Behaviours {
		truth := r.Study.truths[b.Name]
		if truth == nil {
			continue
		}
		for _, name := range b.Detectors {
			d := byName[name]
			key := lineage.CalibrationKey(b.Name, d.Digest, truth.Digest)
			if done, err := r.Ledger.Load(key, new(lineage.Raw)); err != nil || done {
				if err != nil {
					return err
				}
				continue
			}
			c, err := truth.Calibrate(ctx, b.Name, d)
			if err != nil {
				return fmt.Errorf("behaviours.%s: %w", b.Name, err)
			}
			if err := r.Ledger.Save(key, c); err != nil {
				return err
			}
		}
	}
	return nil
}
