package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// CSV writes one row for each point of each curve, in the order of the curves:
// the very numbers that are drawn. A cell is empty where there is no number.
// n counts texts that could be scored, of which present show the behaviour;
// estimate, lo and hi are over replicates. docs/measurement.md has all columns.
func (f *Findings) CSV(w io.Writer) error {
	rows := [][]string{{
		"arm", "line", "behaviour", "detector", "part", "generation", "replicates", "n", "present", "not_scorable",
		"estimate", "lo", "hi", "difference", "diff_lo", "diff_hi",
		"neutral", "neutral_lo", "neutral_hi", "neutral_mean_lo", "neutral_mean_hi",
		"corrected", "corrected_lo", "corrected_hi", "method",
		"corrected_difference", "corrected_diff_lo", "corrected_diff_hi", "difference_method",
		"corrected_neutral_mean_lo", "corrected_neutral_mean_hi",
		"questions", "effective_n", "design_effect", "question_lo", "question_hi",
	}}
	for _, c := range f.Curves {
		for _, p := range c.Points {
			e, d, b := p.Prevalence, p.Difference, p.Neutral
			if !b.Valid {
				b = noBand()
			}
			row := append(c.cells(), strconv.Itoa(p.Generation), strconv.Itoa(e.N),
				strconv.Itoa(p.Pooled.N()), strconv.Itoa(p.Pooled.Present), strconv.Itoa(p.Pooled.Unscored),
				decimal(e.Mean), decimal(e.Lo), decimal(e.Hi), decimal(d.Mean), decimal(d.Lo), decimal(d.Hi),
				decimal(b.Mean), decimal(b.Lo), decimal(b.Hi), decimal(b.MeanLo), decimal(b.MeanHi))
			rows = append(rows, append(append(row, p.corrections()...), p.Asked.cells()...))
		}
	}
	return table(w, "CSV of curves", rows)
}

// corrections are the cells of what a point comes to without the detector's errors.
func (p Point) corrections() []string {
	e, d, b := p.Corrected, p.CorrectedDifference, p.CorrectedNeutral
	if p.Method == "" {
		e = nothing("")
	}
	if p.DifferenceMethod == "" {
		d = nothing("")
	}
	if !b.Valid {
		b = noBand()
	}
	return []string{
		decimal(e.Mean), decimal(e.Lo), decimal(e.Hi), p.Method, decimal(d.Mean), decimal(d.Lo), decimal(d.Hi), p.DifferenceMethod,
		decimal(b.MeanLo), decimal(b.MeanHi),
	}
}

func (a Asked) cells() []string {
	if a.Questions == 0 {
		return make([]string, 5)
	}
	return []string{strconv.Itoa(a.Questions), decimal(a.EffectiveN), decimal(a.DesignEffect), decimal(a.Interval.Lo), decimal(a.Interval.Hi)}
}

// ReplicatesCSV writes one row for each replicate in each generation of each
// curve that has a text.
func (f *Findings) ReplicatesCSV(w io.Writer) error {
	rows := [][]string{{
		"arm", "line", "behaviour", "detector", "part", "replicate", "generation", "n", "present", "not_scorable", "prevalence",
	}}
	for _, c := range f.Curves {
		for r, generations := range c.Replicates {
			for g, t := range generations {
				if t.N()+t.Unscored == 0 {
					continue
				}
				rows = append(rows, append(c.cells(), strconv.Itoa(r), strconv.Itoa(g),
					strconv.Itoa(t.N()), strconv.Itoa(t.Present), strconv.Itoa(t.Unscored), decimal(prevalence(t))))
			}
		}
	}
	return table(w, "CSV of replicates", rows)
}

func table(w io.Writer, what string, rows [][]string) error {
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (c *Curve) cells() []string {
	return []string{cell(c.Arm), cell(c.Line), cell(c.Behaviour), cell(c.Detector), cell(c.Part)}
}

// cell keeps a spreadsheet from taking a name for a formula.
func cell(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// decimal is the shortest text that reads back as x; NaN and infinities, which
// spreadsheets take for words, are empty.
func decimal(x float64) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	return strconv.FormatFloat(x+0, 'g', -1, 64) // no sign on a zero
}

// JSON writes the findings as one object with sorted keys in snake_case. NaN and
// infinities are null: a half-life of null beside a reproduction of 1 or more
// means that nothing decays.
func (f *Findings) JSON(w io.Writer) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(tree(reflect.ValueOf(*f))); err != nil {
		return fmt.Errorf("JSON of findings: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("JSON of findings: %w", err)
	}
	return nil
}

// tree is a value as maps, lists and scalars that encoding/json can write.
func tree(v reflect.Value) any {
	if raw, ok := v.Interface().(json.RawMessage); ok {
		if len(raw) == 0 {
			return nil
		}
		return raw
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return tree(v.Elem())
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = tree(v.Index(i))
		}
		return list
	case reflect.Map:
		object := make(map[string]any, v.Len())
		for entries := v.MapRange(); entries.Next(); {
			object[entries.Key().String()] = tree(entries.Value())
		}
		return object
	case reflect.Struct:
		object := make(map[string]any, v.NumField())
		for i := range v.NumField() {
			object[fieldName(v.Type().Field(i))] = tree(v.Field(i))
		}
		return object
	}
	return v.Interface()
}

// fieldName is the name that the field's own tag gives, or the Go name in
// snake_case.
func fieldName(f reflect.StructField) string {
	if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" {
		return tag
	}
	var b strings.Builder
	name := []rune(f.Name)
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(name[i-1]) || i+1 < len(name) && unicode.IsLower(name[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
