package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
)

// CSV writes one row for each cell of the matrix: the very numbers that are
// drawn. A cell of the table is empty where there is no number.
func (f *SurveyFindings) CSV(w io.Writer) error {
	rows := [][]string{{
		"subject", "behaviour", "context", "detector", "questions", "n", "present", "not_scorable",
		"penetrance", "lo", "hi", "design_effect", "reference", "difference", "diff_lo", "diff_hi", "paired", "p", "q", "hides_from_far", "note",
	}}
	hides := map[[2]string]bool{}
	for _, h := range f.Hidings {
		hides[[2]string{h.Subject, h.Behaviour}] = h.Hides
	}
	for _, c := range f.Cells {
		reference, paired := "", ""
		if c.Versus.N > 0 {
			reference, paired = f.Reference, strconv.FormatBool(c.Paired)
		}
		rows = append(rows, []string{
			cell(c.Subject), cell(c.Behaviour), cell(c.Context), cell(f.judge(c.Behaviour)), strconv.Itoa(c.Questions),
			strconv.Itoa(c.Tally.N()), strconv.Itoa(c.Tally.Present), strconv.Itoa(c.Tally.Unscored),
			decimal(c.Penetrance.Mean), decimal(c.Penetrance.Lo), decimal(c.Penetrance.Hi), decimal(c.DesignEffect),
			cell(reference), decimal(c.Versus.Mean), decimal(c.Versus.Lo), decimal(c.Versus.Hi), paired, decimal(c.P), decimal(c.Q),
			strconv.FormatBool(hides[[2]string{c.Subject, c.Behaviour}]), cell(c.Penetrance.Warn),
		})
	}
	return table(w, "CSV of a survey", rows)
}

// judge is the detector that judges a behaviour.
func (s Survey) judge(behaviour string) string {
	for _, b := range s.Behaviours {
		if b.Name == behaviour && len(b.Detectors) > 0 {
			return b.Detectors[0]
		}
	}
	return ""
}

// JSON writes the findings as one object with sorted keys in snake_case. NaN
// and infinities are null.
func (f *SurveyFindings) JSON(w io.Writer) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(tree(reflect.ValueOf(*f))); err != nil {
		return fmt.Errorf("JSON of a survey: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
