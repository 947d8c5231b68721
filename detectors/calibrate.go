package detectors

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Learned is met by detectors that are made from texts. Of a text that it learned
// from, HeldOut gives what a detector says that was made in the same way without
// it; ok is false for every other text.
type Learned interface {
	HeldOut(u Utterance) (r Result, ok bool)
}

// Priced is met by detectors that ask a server: Requests is the largest number of
// requests that judging the utterances takes when no answer is recorded yet.
type Priced interface {
	Requests(us []Utterance) int
}

// Confusion counts a detector's words against the truth in one context. AUC and
// its bounds are those of AUCInterval, and NaN where they are not to be had.
type Confusion struct {
	Context                       string
	TruePositives, FalseNegatives int
	FalsePositives, TrueNegatives int
	PositivesLeft, NegativesLeft  int // not scorable
	AUC, AUCLo, AUCHi             float64
}

// NotScorable is the number of rows that the detector did not judge.
func (c Confusion) NotScorable() int { return c.PositivesLeft + c.NegativesLeft }

// Answers has a detector judge labelled rows, none by what it learned from the row
// itself: for those that it learned from it is asked what it says without them.
// heldOut is their number.
func Answers(ctx context.Context, d Detector, rows []Labelled) (results []Result, heldOut int, err error) {
	results = make([]Result, len(rows))
	var us []Utterance
	var of []int
	learned, _ := d.(Learned)
	for i, row := range rows {
		if learned != nil {
			if r, ok := learned.HeldOut(row.Utterance); ok {
				results[i] = r
				heldOut++
				continue
			}
		}
		us, of = append(us, row.Utterance), append(of, i)
	}
	const batch = 512
	for first := 0; first < len(us); first += batch {
		part := us[first:min(first+batch, len(us))]
		given, err := d.Detect(ctx, part)
		if err != nil {
			return nil, 0, err
		}
		if len(given) != len(part) {
			return nil, 0, fmt.Errorf("gave %d results for %d texts", len(given), len(part))
		}
		for i, r := range given {
			results[of[first+i]] = r
		}
	}
	return results, heldOut, nil
}

// Confusions counts the results of labelled rows by context, in the order of the
// contexts' names.
func Confusions(results []Result, rows []Labelled) []Confusion {
	by := map[string][]int{}
	for i, row := range rows {
		by[row.Context] = append(by[row.Context], i)
	}
	var all []Confusion
	for _, context := range slices.Sorted(maps.Keys(by)) {
		all = append(all, confusion(context, results, rows, by[context]))
	}
	return all
}

func confusion(context string, results []Result, rows []Labelled, at []int) Confusion {
	c := Confusion{Context: context}
	var scores []float64
	var labels []bool
	for _, i := range at {
		r, positive := results[i], rows[i].Positive
		count := [2][3]*int{
			{&c.NegativesLeft, &c.TrueNegatives, &c.FalsePositives},
			{&c.PositivesLeft, &c.FalseNegatives, &c.TruePositives},
		}[index(positive)][r.Outcome]
		*count++
		if r.Outcome != NotScorable {
			scores, labels = append(scores, r.Score), append(labels, positive)
		}
	}
	c.AUC, c.AUCLo, c.AUCHi = AUCInterval(scores, labels)
	return c
}

// Overall counts the results of all rows, whatever their context.
func Overall(results []Result, rows []Labelled) Confusion {
	at := make([]int, len(rows))
	for i := range at {
		at[i] = i
	}
	return confusion("", results, rows, at)
}
