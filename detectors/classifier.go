package detectors

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"
)

func init() {
	Register("classifier", "learned from labelled texts: naive Bayes or logistic regression on words and word pairs",
		Classifier{Text: "text", Label: "label", Model: "logistic", Threshold: .5, Folds: 5, Split: Split{Share: .7}},
		func(env Env, c Classifier) (Detector, error) { return c.open(env) })
}

// Classifier is trained, when it is opened, from files of labelled rows (see
// ReadLabelled). It sees which words and neighbouring word pairs a text holds,
// whatever their number.
//
// The score is a probability under equal shares of both labels: the margin of
// the model through a logistic curve that was fitted to the cross-validated
// margins of the training rows (Platt 1999). The shares in the files do not
// enter, since the share of the behaviour is what is to be measured.
//
// A text that shares no word with the training rows is not scorable. Spans are
// the words that speak most for the behaviour.
type Classifier struct {
	Labels    []string `yaml:"labels" doc:"files of labelled rows"`
	Text      string   `yaml:"text" doc:"key of the text in a row"`
	Label     string   `yaml:"label" doc:"key of the label, or name of a count in labels"`
	Positive  string   `yaml:"positive" doc:"the label that means yes"`
	Model     string   `yaml:"model" doc:"naive-bayes or logistic"`
	Threshold float64  `yaml:"threshold" doc:"score from which the behaviour is present"`
	Folds     int      `yaml:"folds" doc:"folds of the cross-validation"`
	Split     Split    `yaml:"split" doc:"rows to train on"`
}

type classifier struct {
	threshold float64
	learner   learner
	features  features
	weights   []float64
	a, b      float64 // score = sigmoid(a·margin + b)
	quality   Quality
	heldOut   map[string]float64 // score of a text that it learned from, given by a model that did not
}

func (c Classifier) open(env Env) (Detector, error) {
	if err := c.check(env); err != nil {
		return nil, err
	}
	var rows []Labelled
	for _, name := range c.Labels {
		more, err := c.read(env, name)
		if err != nil {
			return nil, fmt.Errorf("classifier.labels: %w", err)
		}
		rows = append(rows, more...)
	}
	return c.train(rows)
}

func (c Classifier) check(env Env) error {
	faults := []error{checkThreshold("classifier", c.Threshold)}
	if len(c.Labels) == 0 {
		faults = append(faults, errors.New("classifier.labels: no file is named"))
	} else if env.Open == nil {
		faults = append(faults, errors.New("classifier.labels: no files are at hand"))
	}
	if _, ok := learnerOf[c.Model]; !ok {
		faults = append(faults, fmt.Errorf("classifier.model: %q is not known; there are %s",
			c.Model, strings.Join(slices.Sorted(maps.Keys(learnerOf)), ", ")))
	}
	if c.Folds < 2 || c.Folds > 100 {
		faults = append(faults, fmt.Errorf("classifier.folds: %d is not within 2 and 100", c.Folds))
	}
	if err := c.Split.check(); err != nil {
		faults = append(faults, fmt.Errorf("classifier.%w", err))
	}
	return errors.Join(faults...)
}

func (c Classifier) read(env Env, name string) ([]Labelled, error) {
	f, err := env.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := ReadLabelled(f, name, Fields{Text: c.Text, Label: c.Label, Positive: c.Positive})
	return slices.DeleteFunc(rows, func(l Labelled) bool { return !c.Split.Keep(l.Group) }), err
}

func (c Classifier) train(rows []Labelled) (*classifier, error) {
	d := &classifier{threshold: c.Threshold, learner: learnerOf[c.Model], features: features{number: map[string]int32{}}}
	texts := make([][]int32, len(rows))
	labels := make([]bool, len(rows))
	var of [2]int
	for i, r := range rows {
		texts[i], labels[i] = present(d.features.of(r.Utterance.Text())), r.Positive
		of[index(r.Positive)]++
	}
	d.features.frozen = true
	for k, what := range []string{"do not show", "show"} {
		if of[k] < c.Folds {
			return nil, fmt.Errorf("classifier.labels: %d rows %s the behaviour; cross-validation in %d folds needs as many of each label",
				of[k], what, c.Folds)
		}
	}
	folds := foldsOf(rows, c.Folds)
	margins, err := d.validate(texts, labels, folds, c.Folds)
	if err != nil {
		return nil, err
	}
	d.a, d.b = platt(margins, labels)
	scores, found := make([]float64, len(rows)), make([]bool, len(rows))
	d.heldOut = make(map[string]float64, len(rows))
	for i, m := range margins {
		scores[i] = d.score(m)
		found[i] = scores[i] >= d.threshold
		d.heldOut[digestOf(rows[i].Utterance.Text())] = scores[i]
	}
	d.quality = measure(scores, labels, found,
		fmt.Sprintf("%d-fold cross-validation by group, %s", c.Folds, d.learner.method))
	d.weights = d.learner.fit(texts, labels, len(d.features.number))
	return d, nil
}

// foldsOf deals the groups to folds in an order that depends on their names
// alone, those with a positive row first, so that every fold has its share.
func foldsOf(rows []Labelled, folds int) []int {
	positive := map[string]bool{}
	for _, r := range rows {
		positive[r.Group] = positive[r.Group] || r.Positive
	}
	groups := slices.SortedFunc(maps.Keys(positive), func(a, b string) int {
		return cmp.Or(index(positive[b])-index(positive[a]), cmp.Compare(position(a), position(b)), cmp.Compare(a, b))
	})
	fold := map[string]int{}
	for i, g := range groups {
		fold[g] = i % folds
	}
	of := make([]int, len(rows))
	for i, r := range rows {
		of[i] = fold[r.Group]
	}
	return of
}

// validate gives each row the margin of a model trained without its fold.
func (d *classifier) validate(texts [][]int32, labels []bool, fold []int, folds int) ([]float64, error) {
	margins := make([]float64, len(texts))
	for k := range folds {
		var rows [][]int32
		var known []bool
		var of [2]int
		for i := range texts {
			if fold[i] != k {
				rows, known = append(rows, texts[i]), append(known, labels[i])
				of[index(labels[i])]++
			}
		}
		if of[0] == 0 || of[1] == 0 {
			return nil, errors.New("classifier.labels: all rows of one label belong to one group, so they cannot be held out; add more transcripts")
		}
		weights := d.learner.fit(rows, known, len(d.features.number))
		for i := range texts {
			if fold[i] == k {
				margins[i] = d.learner.margin(weights, texts[i])
			}
		}
	}
	return margins, nil
}

func (d *classifier) score(margin float64) float64 { return sigmoid(d.a*margin + d.b) }

// Detect implements Detector.
func (d *classifier) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	return eachText(ctx, us, d.detect)
}

func (d *classifier) detect(text string) Result {
	found := d.features.of(text)
	if len(found) == 0 {
		return Result{Reason: "the text shares no word with the labelled rows"}
	}
	score := d.score(d.learner.margin(d.weights, present(found)))
	r := Judged(score, d.threshold, nil, "")
	if r.Outcome == Present {
		r.Spans = d.evidence(found)
	}
	words := make([]string, len(r.Spans))
	for i, s := range r.Spans {
		words[i] = fmt.Sprintf("%.40q", text[s.Start:s.End])
	}
	r.Reason = strings.TrimSuffix(fmt.Sprintf("p = %.2f: %s", score, strings.Join(words, ", ")), ": ")
	return r
}

// maxEvidence is the number of features that are pointed at.
const maxEvidence = 8

// evidence points at the first place of each of the features that weigh most
// for the behaviour.
func (d *classifier) evidence(found []occurrence) []Span {
	slices.SortStableFunc(found, func(a, b occurrence) int {
		return cmp.Or(cmp.Compare(d.weights[b.feature], d.weights[a.feature]), cmp.Compare(a.feature, b.feature))
	})
	found = slices.CompactFunc(found, func(a, b occurrence) bool { return a.feature == b.feature })
	var spans []Span
	for _, o := range found[:min(len(found), maxEvidence)] {
		if d.weights[o.feature] > 0 {
			spans = append(spans, Span{Start: o.start, End: o.end})
		}
	}
	return Disjoint(spans)
}

// HeldOut implements Learned: the score is that of the cross-validation.
func (d *classifier) HeldOut(u Utterance) (Result, bool) {
	score, ok := d.heldOut[digestOf(u.Text())]
	return Judged(score, d.threshold, nil, "cross-validated"), ok
}

// Quality is that of the cross-validation.
func (d *classifier) Quality() Quality { return d.quality }

// Digest covers the features, their weights and the calibration.
func (d *classifier) Digest() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(d.features.number)) {
		writePart(h, name)
		writeFloat(h, d.weights[d.features.number[name]])
	}
	for _, v := range []float64{d.weights[len(d.weights)-1], d.a, d.b, d.threshold} {
		writeFloat(h, v)
	}
	return sum16(h)
}

func writeFloat(h hash.Hash, v float64) {
	var bits [8]byte
	binary.LittleEndian.PutUint64(bits[:], math.Float64bits(v))
	h.Write(bits[:])
}
