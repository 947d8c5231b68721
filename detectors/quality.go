package detectors

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// Quality is how well a detector's answers agree with labels. A rate is NaN
// where no row could show it.
type Quality struct {
	N           int     // rows that were scored
	Positives   int     // of them, rows that show the behaviour
	NotScorable int     // rows left out, since the detector abstained
	AUC         float64 // chance that a positive outscores a negative
	Sensitivity float64 // share of the positives found present
	Specificity float64 // share of the negatives found absent
	Method      string  // one line: which rows, and how they were kept from the training
}

// Qualified is met by detectors that know their own quality.
type Qualified interface{ Quality() Quality }

// Evaluate runs a detector over labelled rows. The rows should be none that
// it was made from; method says which they are.
func Evaluate(ctx context.Context, d Detector, rows []Labelled, method string) (Quality, error) {
	us := make([]Utterance, len(rows))
	for i, r := range rows {
		us[i] = r.Utterance
	}
	results, err := d.Detect(ctx, us)
	if err != nil {
		return Quality{}, err
	}
	var scores []float64
	var labels, found []bool
	for i, r := range results {
		if r.Outcome == NotScorable {
			continue
		}
		scores = append(scores, r.Score)
		labels = append(labels, rows[i].Positive)
		found = append(found, r.Outcome == Present)
	}
	q := measure(scores, labels, found, method)
	q.NotScorable = len(rows) - len(scores)
	return q, nil
}

func measure(scores []float64, labels, found []bool, method string) Quality {
	var count [2][2]float64 // [label][found]
	for i, label := range labels {
		count[index(label)][index(found[i])]++
	}
	return Quality{
		N: len(labels), Positives: int(count[1][0] + count[1][1]),
		AUC:         AUC(scores, labels),
		Sensitivity: count[1][1] / (count[1][0] + count[1][1]),
		Specificity: count[0][0] / (count[0][0] + count[0][1]),
		Method:      method,
	}
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// AUC is the area under the ROC curve: the chance that a random positive
// scores above a random negative, ties counted half (the Mann–Whitney U over
// the number of pairs). It is NaN where one of the labels does not occur.
// Scores must not be NaN.
func AUC(scores []float64, labels []bool) float64 {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	var positives, negatives, wins float64 // negatives below the tied group so far
	for i := 0; i < len(order); {
		var tied [2]float64
		j := i
		for ; j < len(order) && scores[order[j]] == scores[order[i]]; j++ {
			tied[index(labels[order[j]])]++
		}
		wins += tied[1] * (negatives + tied[0]/2)
		positives += tied[1]
		negatives += tied[0]
		i = j
	}
	if positives == 0 || negatives == 0 {
		return math.NaN()
	}
	return wins / (positives * negatives)
}
