package reports

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// payloads are texts that run, or end what they stand in, where a page takes
// them for more than text.
var payloads = []string{
	`</script><script>window.PWN=1</script>`,
	`</ScRiPt ><svg/onload=window.PWN=1>`,
	`__f__function(){window.PWN=1}()__f__`,
	`<img src=x onerror=window.PWN=1>`,
	`"><svg onload=window.PWN=1>`,
	`'-(window.PWN=1)-'`,
	"`${window.PWN=1}`",
	`{{.Study}}{b}{a|x}{@value}`,
	`javascript:window.PWN=1`,
	`image://https://example.invalid/x.png`,
	`</style><style>*{background:url(https://example.invalid/x)}`,
	`</noscript></svg></title></textarea><script>window.PWN=1</script>`,
	`<!--<script>`, `]]>`, `--!>`, `$'$&$1`, `@fn:tipCurves`, `$ramp`, `__proto__`, `constructor`,
	`=HYPERLINK("https://example.invalid")`, `&lt;script&gt;window.PWN=1&lt;/script&gt;`,
	"a\u202eb\u2066c\u200bd\ufeffe\U000e0041", "a\u2028b\u2029c", "nul\x00 bell\x07 bad\xff\xc3( end",
}

// told writes a payload wherever a text can stand.
func told(payload string) func(string, int) string {
	return func(kind string, i int) string { return fmt.Sprintf("%s %s %d", payload, kind, i) }
}

func written(t *testing.T, f *Findings, o PageOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.HTML(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// element is a start or end tag, with the names of its attributes.
type element struct{ tag, raw string }

var attribute = regexp.MustCompile(`([a-zA-Z-]+)(="[^"]*")?`)

// skeleton lists the tags of a page as a browser finds them: what is within
// script and style is raw up to their end. It fails on any "<" that is neither.
func skeleton(t *testing.T, page string) (tags []element) {
	t.Helper()
	for {
		i := strings.IndexByte(page, '<')
		if i < 0 {
			return tags
		}
		page = page[i:]
		end := tagEnd(page)
		if end < 0 || len(page) < 2 || !strings.ContainsRune("/!abcdefghijklmnopqrstuvwxyz", rune(page[1])) {
			t.Fatalf("a stray < in the page: %.60q", page)
		}
		tag := page[1:end]
		name, rest, _ := strings.Cut(tag, " ")
		var b strings.Builder
		b.WriteString(name)
		for _, m := range attribute.FindAllStringSubmatch(rest, -1) {
			b.WriteString(" " + m[1])
		}
		page = page[end+1:]
		e := element{tag: b.String()}
		if name == "script" || name == "style" {
			stop := strings.Index(strings.ToLower(page), "</"+name)
			if stop < 0 {
				t.Fatalf("%s has no end", name)
			}
			e.tag, e.raw, page = tag, page[:stop], page[stop:]
		}
		tags = append(tags, e)
	}
}

// tagEnd finds the > that ends a tag, past those in quotes.
func tagEnd(s string) int {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// keepsItsTags fails where the payload changed what a browser finds in the page.
func keepsItsTags(t *testing.T, payload, page string, want []element) {
	t.Helper()
	if !utf8.ValidString(page) {
		t.Errorf("%.40q: the page is not valid UTF-8", payload)
	}
	got := skeleton(t, page)
	if len(got) != len(want) {
		t.Errorf("%.40q: the page has %d tags instead of %d", payload, len(got), len(want))
		return
	}
	for i, e := range got {
		if e.tag != want[i].tag {
			t.Errorf("%.40q: tag %d is <%s> instead of <%s>", payload, i, e.tag, want[i].tag)
		}
		if strings.HasPrefix(e.tag, "script ") && strings.ContainsAny(e.raw, "<\u2028\u2029") {
			t.Errorf("%.40q: <%s> has markup inside", payload, e.tag)
		}
	}
}

func TestNoTextOfAStudyBecomesMarkup(t *testing.T) {
	n := extent{3, 2, 2, 3, 4, 6}
	for _, static := range []bool{false, true} {
		o := PageOptions{Version: "v1", Command: "x", Modules: []string{"m"}, Static: static}
		want := skeleton(t, written(t, invented(n, told("plain")), o))
		for _, payload := range payloads {
			o := PageOptions{Version: payload, Command: payload, Modules: []string{payload}, Static: static}
			page := written(t, invented(n, told(payload)), o)
			keepsItsTags(t, payload, page, want)
		}
	}
}

func TestOneScriptRunsAndIslandsHoldNoMarkup(t *testing.T) {
	for _, static := range []bool{false, true} {
		page := written(t, invented(extent{3, 2, 2, 3, 4, 6}, told(payloads[0])), PageOptions{Static: static})
		var ran []string
		for _, e := range skeleton(t, page) {
			switch {
			case e.tag == "script":
				ran = append(ran, e.raw)
			case strings.HasPrefix(e.tag, "script ") && strings.ContainsAny(e.raw, "<\u2028\u2029"):
				t.Errorf("<%s> has markup inside", e.tag)
			}
		}
		if len(ran) != 1 {
			t.Fatalf("%d scripts run instead of 1", len(ran))
		}
		if escaped := strings.NewReplacer("+", "&#43;", "'", "&#39;").Replace(scriptSource(ran[0])); !strings.Contains(page, escaped) {
			t.Errorf("the policy does not have %s of the script", scriptSource(ran[0]))
		}
	}
}

func TestSameFindingsGiveTheSamePage(t *testing.T) {
	n := extent{4, 2, 2, 6, 5, 40}
	o := PageOptions{Version: "v1"}
	first := written(t, invented(n, plainly), o)
	for range 3 {
		if written(t, invented(n, plainly), o) != first {
			t.Fatal("the same findings gave another page")
		}
	}
}

func TestPageStaysLight(t *testing.T) {
	f := invented(extent{12, 4, 6, 5, 100, 0}, plainly)
	for i := range 5000 {
		f.Samples = append(f.Samples, Sample{ID: fmt.Sprint(i), Arm: f.Study.Arms[1].Name, Outcome: lineage.Present, Text: strings.Repeat("words that differ 0123456789 ", 400)})
	}
	if size := len(written(t, f, PageOptions{})); size > 2_600_000 {
		t.Errorf("the largest study makes a page of %d bytes", size)
	}
	if d := newIndex(f).samples(); d.LeftOut != f.LeftOut+len(f.Samples)-len(d.List) || len(d.List) < 200 {
		t.Errorf("%d of %d samples kept and %d said to be left out", len(d.List), len(f.Samples), d.LeftOut)
	}
}

func TestSamplesComeFromEveryGroup(t *testing.T) {
	f := invented(extent{3, 2, 1, 3, 4, 0}, plainly)
	for i := range 4000 {
		arm := 1
		if i > 3990 {
			arm = 2
		}
		f.Samples = append(f.Samples, Sample{Arm: f.Study.Arms[arm].Name, Outcome: lineage.Present, Text: fmt.Sprint(i)})
	}
	kept := 0
	for _, s := range newIndex(f).samples().List {
		if s.Arm == 2 {
			kept++
		}
	}
	if kept != 9 {
		t.Errorf("%d of the 9 samples of the smaller arm are kept", kept)
	}
}

func TestPageOpensOnWhatTheTitleSpeaksOf(t *testing.T) {
	f := invented(extent{7, 2, 3, 6, 4, 6}, plainly)
	for lead, v := range f.Verdicts {
		if v.Arm == f.Study.Arms[0].Name {
			continue
		}
		f.Lead = lead
		x := newIndex(f)
		if o := x.opens; f.Study.Arms[o.Arm].Name != v.Arm || f.Study.Lines[o.Line] != v.Line || f.Study.Behaviours[o.Behaviour].Name != v.Behaviour {
			t.Fatalf("opens on %+v instead of %s, %s, %s", o, v.Arm, v.Line, v.Behaviour)
		}
		if got, want := x.headlines()[0].Value, percent(v.Final.Mean); got != want {
			t.Errorf("the first number is %s instead of %s", got, want)
		}
		figures, err := x.figures(false)
		if err != nil {
			t.Fatal(err)
		}
		if key, want := figures[0].Stills[0].Key, fmt.Sprintf("%d/%d", x.opens.Behaviour, x.opens.Line); key != want {
			t.Errorf("the static figure is of %s instead of %s", key, want)
		}
	}
}

func TestAnEmptyStudyMakesAPage(t *testing.T) {
	for _, f := range bare {
		for _, static := range []bool{false, true} {
			skeleton(t, written(t, f, PageOptions{Static: static}))
		}
	}
}

// bare are findings that lack almost everything.
var bare = []*Findings{
	{}, {Study: lineage.Study{Name: "x", Generations: 3, Lines: []string{"a"}, Arms: []lineage.Arm{{Name: "a"}}}},
	{Study: lineage.Study{Behaviours: []lineage.Behaviour{{Name: "b"}}}, Curves: []Curve{{Arm: "gone", Points: []Point{{Generation: 9}}}}, Verdicts: []Verdict{{Arm: "gone"}}, Samples: []Sample{{Arm: "gone", Text: ""}}},
	{Study: lineage.Study{Generations: 2, Replicates: 1, Lines: []string{"l"}, Arms: []lineage.Arm{{Name: "a"}}, Behaviours: []lineage.Behaviour{{Name: "b"}}},
		Curves: []Curve{{Arm: "a", Line: "l", Behaviour: "b", Part: lineage.Outputs}, {Arm: "a", Line: "l", Behaviour: "b", Part: lineage.Probes, Points: []Point{{Prevalence: Interval{Mean: math.NaN()}}}}}},
}

func TestSegmentsFollowSpans(t *testing.T) {
	span := func(start, end int, label string) lineage.Span {
		return lineage.Span{Start: start, End: end, Label: label}
	}
	for _, c := range []struct {
		text  string
		spans []lineage.Span
		limit int
		want  []segment
		cut   int
	}{
		{"plain", nil, 99, []segment{{"plain", ""}}, 0},
		{"abcdef", []lineage.Span{span(1, 3, "x"), span(2, 4, "y")}, 99, []segment{{"a", ""}, {"b", "x"}, {"c", "x, y"}, {"d", "y"}, {"ef", ""}}, 0},
		{"aéb", []lineage.Span{span(2, 3, "x")}, 99, []segment{{"a", ""}, {"é", "x"}, {"b", ""}}, 0},
		{"ab", []lineage.Span{span(-5, 1, "x"), span(1, 99, "y"), span(1, 1, "none")}, 99, []segment{{"a", "x"}, {"b", "y"}}, 0},
		{"0123456789", []lineage.Span{span(8, 9, "x")}, 4, []segment{{"7", ""}, {"8", "x"}, {"9", ""}}, 7},
		{"", []lineage.Span{span(0, 4, "x")}, 4, nil, 0},
	} {
		got, cut := segments(c.text, c.spans, c.limit)
		if !slices.Equal(got, c.want) || cut != c.cut {
			t.Errorf("segments(%q, %v, %d) = %q, %d; want %q, %d", c.text, c.spans, c.limit, got, cut, c.want, c.cut)
		}
	}
}

func FuzzSegmentsKeepTheText(f *testing.F) {
	f.Add("a\xffé\u202e日", 1, 4, 2, 9)
	f.Add("", 0, 0, 0, 0)
	f.Fuzz(func(t *testing.T, text string, a, b, c, d int) {
		spans := []lineage.Span{{Start: a, End: b, Label: "x"}, {Start: c, End: d, Label: "y"}}
		parts, cut := segments(text, spans, len(text)+1)
		var joined strings.Builder
		for _, p := range parts {
			if !utf8.ValidString(p.Text) || p.Text == "" {
				t.Fatalf("segment %q of %q", p.Text, text)
			}
			joined.WriteString(p.Text)
		}
		without := func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\uFFFD", "") }
		if without(joined.String()) != without(text) || cut != 0 {
			t.Fatalf("%q became %q", text, joined.String())
		}
		limit := min(7, utf8.RuneCountInString(text))
		parts, cut = segments(text, spans, limit)
		kept := 0
		for _, p := range parts {
			kept += utf8.RuneCountInString(p.Text)
		}
		if kept > limit || kept+cut > utf8.RuneCountInString(text) {
			t.Fatalf("%d characters kept and %d cut of %q at most %d", kept, cut, text, limit)
		}
	})
}

func TestNumbersAreWrittenAsTheyAre(t *testing.T) {
	for want, got := range map[string]string{
		"0%": percent(0), "0.034%": percent(0.000341), "12.3%": percent(0.1234), "100.0%": percent(1), "−2.0%": percent(-0.02),
		"+3.1": points(0.0312), "−3.1": points(-0.0312), "0.0": points(-0.0001), "<0.001": probability(0.0004), "0.031": probability(0.03125),
		"no decay": halfLife(math.Inf(1)),
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

func TestLabelsAreSpreadApart(t *testing.T) {
	at := spread([]float64{50, 48, 51, 5, 99}, 10, 8, 92)
	order := []int{3, 1, 0, 2, 4}
	for i := 1; i < len(order); i++ {
		if d := at[order[i]] - at[order[i-1]]; d < 10-1e-9 {
			t.Errorf("labels %d and %d are %g apart: %v", order[i-1], order[i], d, at)
		}
	}
	if at[3] < 8 || at[4] > 92 {
		t.Errorf("labels leave the plot: %v", at)
	}
}

func TestAxisEndsAboveWhatItShows(t *testing.T) {
	for v := 0.0004; v <= 1; v *= 1.07 {
		top, step := niceCeiling(v)
		if ticks := top / step; top < v-1e-9 || top > 1 || ticks > 6+1e-9 || top > 2.1*v {
			t.Errorf("an axis for %g ends at %g with %g ticks", v, top, ticks)
		}
	}
}
