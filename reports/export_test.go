package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func sheet(t *testing.T, write func(*bytes.Buffer) error) []map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]string
	for _, row := range rows[1:] {
		cells := map[string]string{}
		for i, name := range rows[0] {
			cells[name] = row[i]
		}
		out = append(out, cells)
	}
	return out
}

// whereAsked is NaN where a point has no questions.
func whereAsked(a Asked, v float64) float64 {
	if a.Questions == 0 {
		return math.NaN()
	}
	return v
}

func TestCSVHoldsTheNumbersThatAreDrawn(t *testing.T) {
	l, study := calibratedFixture(t)
	f := measure(t, l, study)
	rows := sheet(t, func(b *bytes.Buffer) error { return f.CSV(b) })
	i := 0
	for _, c := range f.Curves {
		for _, p := range c.Points {
			row := rows[i]
			i++
			for name, want := range map[string]string{
				"arm": c.Arm, "line": c.Line, "behaviour": c.Behaviour, "detector": c.Detector, "part": c.Part,
				"generation": strconv.Itoa(p.Generation), "replicates": strconv.Itoa(p.Prevalence.N),
				"n": strconv.Itoa(p.Pooled.N()), "present": strconv.Itoa(p.Pooled.Present), "not_scorable": strconv.Itoa(p.Pooled.Unscored),
				"method": p.Method, "difference_method": p.DifferenceMethod,
			} {
				if row[name] != want {
					t.Fatalf("row %d: %s is %q, want %q", i, name, row[name], want)
				}
			}
			for name, want := range map[string]float64{
				"estimate": p.Prevalence.Mean, "lo": p.Prevalence.Lo, "hi": p.Prevalence.Hi,
				"difference": p.Difference.Mean, "diff_lo": p.Difference.Lo, "diff_hi": p.Difference.Hi,
				"neutral": p.Neutral.Mean, "neutral_lo": p.Neutral.Lo, "neutral_hi": p.Neutral.Hi,
				"neutral_mean_lo": p.Neutral.MeanLo, "neutral_mean_hi": p.Neutral.MeanHi,
				"corrected": p.Corrected.Mean, "corrected_lo": p.Corrected.Lo, "corrected_hi": p.Corrected.Hi,
				"corrected_difference": p.CorrectedDifference.Mean, "corrected_diff_lo": p.CorrectedDifference.Lo, "corrected_diff_hi": p.CorrectedDifference.Hi,
				"corrected_neutral_mean_lo": p.CorrectedNeutral.MeanLo, "corrected_neutral_mean_hi": p.CorrectedNeutral.MeanHi,
				"effective_n": whereAsked(p.Asked, p.Asked.EffectiveN), "design_effect": whereAsked(p.Asked, p.Asked.DesignEffect),
				"question_lo": whereAsked(p.Asked, p.Asked.Interval.Lo), "question_hi": whereAsked(p.Asked, p.Asked.Interval.Hi),
			} {
				got := math.NaN()
				if row[name] != "" {
					var err error
					if got, err = strconv.ParseFloat(row[name], 64); err != nil {
						t.Fatal(err)
					}
				}
				if !same(got, want) {
					t.Fatalf("row %d: %s is %q, want %g", i, name, row[name], want)
				}
			}
		}
	}
	if i != len(rows) {
		t.Errorf("%d rows for %d points", len(rows), i)
	}
}

func TestReplicatesCSVAddsUpToTheCurves(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, l, study)
	present, texts := 0, 0
	for _, row := range sheet(t, func(b *bytes.Buffer) error { return f.ReplicatesCSV(b) }) {
		k, _ := strconv.Atoi(row["present"])
		n, _ := strconv.Atoi(row["n"])
		present, texts = present+k, texts+n
		if p, err := strconv.ParseFloat(row["prevalence"], 64); n > 0 && (err != nil || p != float64(k)/float64(n)) {
			t.Fatalf("row %v", row)
		}
	}
	var pooled lineage.Tally
	for _, c := range f.Curves {
		for _, p := range c.Points {
			pooled.Present += p.Pooled.Present
			pooled.Absent += p.Pooled.Absent
		}
	}
	if present != pooled.Present || texts != pooled.N() {
		t.Errorf("%d of %d, want %d of %d", present, texts, pooled.Present, pooled.N())
	}
}

func TestCSVCellsAreNoFormulas(t *testing.T) {
	f := &Findings{Curves: []Curve{{
		Arm: "=HYPERLINK(1)", Line: "+1", Behaviour: "-x", Detector: "@y", Part: "\tz",
		Points:     []Point{{Difference: Interval{Mean: -0.5}}},
		Replicates: [][]lineage.Tally{{{Present: 1, Absent: 1}}},
	}, {Arm: "plain", Line: "a,\"b\"\nc", Behaviour: "\rq", Detector: "\xff", Points: []Point{{}}}}}
	rows := sheet(t, func(b *bytes.Buffer) error { return f.CSV(b) })
	for name, want := range map[string]string{"arm": "'=HYPERLINK(1)", "line": "'+1", "behaviour": "'-x", "detector": "'@y", "part": "'\tz", "difference": "-0.5"} {
		if rows[0][name] != want {
			t.Errorf("%s is %q, want %q", name, rows[0][name], want)
		}
	}
	if rows[1]["arm"] != "plain" || rows[1]["line"] != "a,\"b\"\nc" || rows[1]["detector"] != "\uFFFD" || rows[1]["behaviour"][0] != '\'' {
		t.Errorf("row %q", rows[1])
	}
	if r := sheet(t, func(b *bytes.Buffer) error { return f.ReplicatesCSV(b) }); len(r) != 1 || r[0]["arm"] != "'=HYPERLINK(1)" {
		t.Errorf("replicates %q", r)
	}
}

func TestJSONReadsBack(t *testing.T) {
	l, study := calibratedFixture(t)
	f := measure(t, l, study)
	var b bytes.Buffer
	if err := f.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Title  string
		Study  lineage.Study
		Curves []struct {
			Arm    string
			Points []struct {
				Prevalence struct{ Mean, Lo *float64 }
				Difference struct{ Mean *float64 }
				Neutral    struct {
					MeanHi *float64 `json:"mean_hi"`
				}
				Corrected           struct{ Mean, Lo *float64 }
				CorrectedDifference struct{ Mean *float64 } `json:"corrected_difference"`
				Asked               struct {
					EffectiveN *float64 `json:"effective_n"`
				}
			}
			Replicates [][]lineage.Tally
			Trend      struct {
				HalfLife struct{ Hi *float64 } `json:"half_life"`
			}
		}
		Verdicts []struct {
			PeakGeneration *int `json:"peak_generation"`
			Q              float64
		}
		Quality []struct {
			Pooled struct{ Counts lineage.Confusion }
		}
		Nodes   map[lineage.ID]lineage.Node
		LeftOut int `json:"left_out"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Title != f.Title || got.LeftOut != f.LeftOut || got.Study.Digest != study.Digest || len(got.Nodes) != len(f.Nodes) {
		t.Errorf("%q, %d left out, study %q, %d nodes", got.Title, got.LeftOut, got.Study.Digest, len(got.Nodes))
	}
	for id, n := range f.Nodes {
		if again := got.Nodes[id]; again.Line != n.Line || again.Documents != n.Documents || *again.Health.HeldOut != *n.Health.HeldOut || !bytes.Equal(again.Recipe, n.Recipe) {
			t.Fatalf("node %+v, want %+v", again, n)
		}
	}
	for i, c := range f.Curves {
		for g, p := range c.Points {
			q := got.Curves[i].Points[g]
			for _, pair := range []struct {
				got  *float64
				want float64
			}{{q.Prevalence.Mean, p.Prevalence.Mean}, {q.Prevalence.Lo, p.Prevalence.Lo}, {q.Difference.Mean, p.Difference.Mean}, {q.Neutral.MeanHi, p.Neutral.MeanHi},
				{q.Corrected.Mean, p.Corrected.Mean}, {q.Corrected.Lo, p.Corrected.Lo}, {q.CorrectedDifference.Mean, p.CorrectedDifference.Mean}, {q.Asked.EffectiveN, p.Asked.EffectiveN}} {
				if math.IsNaN(pair.want) != (pair.got == nil) || pair.got != nil && *pair.got != pair.want {
					t.Fatalf("curve %d, generation %d: %v, want %g", i, g, pair.got, pair.want)
				}
			}
			if c.Replicates[0][g] != got.Curves[i].Replicates[0][g] {
				t.Fatalf("curve %d: tally %+v", i, got.Curves[i].Replicates[0][g])
			}
		}
	}
	for i, q := range f.Quality {
		if got.Quality[i].Pooled.Counts.TruePositives != q.Pooled.Counts.TruePositives {
			t.Errorf("quality %+v, want %+v", got.Quality[i], q)
		}
	}
	for i, v := range f.Verdicts {
		if got.Verdicts[i].PeakGeneration == nil || *got.Verdicts[i].PeakGeneration != v.PeakGeneration || got.Verdicts[i].Q != v.Q {
			t.Errorf("verdict %+v", got.Verdicts[i])
		}
	}
}

func TestFieldNamesAreSnakeCase(t *testing.T) {
	var b bytes.Buffer
	if err := (&Findings{}).JSON(&b); err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b.Bytes(), &keys); err != nil {
		t.Fatal(err)
	}
	want := []string{"blocked", "curves", "doses", "elicited", "lead", "left_out", "missing", "nodes", "quality", "samples", "setup", "study", "title", "verdicts", "warnings"}
	var got []string
	for k := range keys {
		got = append(got, k)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	if string(keys["curves"]) != "[]" || !strings.Contains(b.String(), `"detectors":[]`) {
		t.Errorf("an empty list is not []: %s", b.String())
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestExportsReportWriteErrors(t *testing.T) {
	f := &Findings{Curves: []Curve{{Points: []Point{{}}}}}
	for name, err := range map[string]error{"CSV of curves": f.CSV(full{}), "CSV of replicates": f.ReplicatesCSV(full{}), "JSON": f.JSON(full{})} {
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
