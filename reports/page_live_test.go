package reports

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"image/png"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/heirloom-sim/heirloom/lineage"
)

var desk = screen{width: 1280, height: 900}

// TestInABrowser runs pages in Chromium, one browser for all.
func TestInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx := browser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"hostile text stays text", hostileTextStaysText},
		{"every shape is drawn without overlap", everyShapeIsDrawn},
		{"a measured study is drawn", measuredStudyIsDrawn},
		{"findings that lack almost everything are shown", bareFindingsAreShown},
		{"the address restores the view", addressRestoresView},
		{"a click leads to the samples", clickLeadsToSamples},
		{"a switch goes between raw and corrected", switchBetweenTerms},
		{"table and CSV are the numbers of the findings", tableIsTheFindings},
		{"pictures carry title and study", picturesCarryTitle},
		{"a saved page draws again", savedPageDrawsAgain},
		{"a page reads without scripts", pageReadsWithoutScripts},
		{"printing gives paper and gives the screen back", printingRestores},
		{"a page without the library follows the reader too", staticPageFollows},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, ctx) })
	}
}

// live skips a test that needs the chart library.
func live(t *testing.T) {
	t.Helper()
	if !Interactive() {
		t.Skip("the chart library is not built: run npm ci --ignore-scripts && node build.mjs in reports/chartlib")
	}
}

func hostileTextStaysText(t *testing.T, ctx context.Context) {
	i := 0
	mixed := invented(extent{4, 2, 3, 6, 5, 80}, func(kind string, n int) string {
		i++
		return fmt.Sprintf("%s %s %d %s", payloads[i%len(payloads)], kind, n, payloads[(i*7+3)%len(payloads)])
	})
	for _, static := range []bool{false, true} {
		b := visit(t, ctx, saved(t, "hostile", mixed, PageOptions{Version: payloads[0], Command: payloads[0], Static: static}), "#behaviour=%3Cimg+src%3Dx+onerror%3Dwindow.PWN%3D1%3E&sample.text=%3C", desk)
		eval[int](b, `(document.querySelectorAll("[data-tool=Table]").forEach(e => e.click()), document.querySelectorAll("details").forEach(e => e.open = true), document.querySelectorAll(".chip").forEach(e => e.click()), 1)`)
		b.inert()
	}
}

func everyShapeIsDrawn(t *testing.T, ctx context.Context) {
	live(t)
	phone := screen{width: 400, height: 800}
	night := desk
	night.dark = true
	for _, c := range []struct {
		name    string
		n       extent
		screens []screen
	}{
		{"one", extent{2, 1, 1, 1, 1, 3}, []screen{desk}},
		{"middle", extent{4, 2, 3, 8, 14, 40}, []screen{desk, night, phone}},
		{"wide", extent{12, 4, 6, 5, 40, 40}, []screen{desk, phone}},
	} {
		name := c.name
		file := saved(t, name, invented(c.n, plainly), PageOptions{})
		for _, s := range c.screens {
			b := visit(t, ctx, file, "", s)
			if empty := eval[[]string](b, `[...document.querySelectorAll("[data-figure]")].filter(f => f.querySelectorAll(".plot svg path").length < 3).map(f => f.id)`); len(empty) > 0 {
				t.Errorf("%s %v: not drawn: %v", name, s, empty)
			}
			if hits := eval[[]string](b, overlaps); len(hits) > 0 {
				t.Errorf("%s %v: labels overlap: %.300q", name, s, hits)
			}
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s %v: the page is %d pixels too wide", name, s, over)
			}
			if theme := eval[string](b, `document.documentElement.dataset.theme`); (theme == "dark") != s.dark {
				t.Errorf("%s %v: theme is %s", name, s, theme)
			}
			b.quiet()
			b.shoot(fmt.Sprintf("%s-%d-%v", name, s.width, s.dark))
		}
	}
}

func measuredStudyIsDrawn(t *testing.T, ctx context.Context) {
	ledger, study := fixture(t)
	f, err := Measure(ledger, study, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := visit(t, ctx, saved(t, "measured", f, PageOptions{}), "", desk)
	if hits := eval[[]string](b, overlaps); len(hits) > 0 {
		t.Errorf("labels overlap: %.300q", hits)
	}
	b.shoot("measured")
	b.quiet()
}

func bareFindingsAreShown(t *testing.T, ctx context.Context) {
	for i, f := range bare {
		visit(t, ctx, saved(t, fmt.Sprint("bare", i), f, PageOptions{}), "", desk).quiet()
	}
}

// subjects are what the figures say they show.
const subjects = `[...document.querySelectorAll(".subject")].map(s => s.textContent)`

func addressRestoresView(t *testing.T, ctx context.Context) {
	f := invented(extent{8, 2, 3, 5, 6, 60}, plainly)
	hash := "#" + url.Values{
		"behaviour": {"Hedging boilerplate"}, "line": {"claude-like"}, "arm": {"diluted"}, "rows": {"lines"}, "theme": {"dark"},
		"show": {"", "seeded", "", "", "diluted"}, "sample.generation": {"4"}, "sample.outcome": {"1"},
	}.Encode()
	b := visit(t, ctx, saved(t, "address", f, PageOptions{}), hash, desk)
	got := strings.Join(eval[[]string](b, subjects), "; ")
	if want := "Hedging boilerplate · claude-like; Hedging boilerplate · claude-like; diluted · Hedging boilerplate; diluted · Hedging boilerplate; Hedging boilerplate · claude-like"; got != want {
		t.Errorf("the page shows %q instead of %q", got, want)
	}
	if on := eval[[]string](b, `[...document.querySelectorAll(".chip[aria-pressed=true]")].map(c => c.textContent)`); strings.Join(on, ",") != "seeded,diluted" {
		t.Errorf("compared are %q", on)
	}
	if facts := eval[[]string](b, `[...document.querySelectorAll(".sample-facts")].map(c => c.innerText)`); len(facts) == 0 || !strings.Contains(facts[0], "generation 4") || !strings.Contains(facts[0], "absent") {
		t.Errorf("samples are %.200q", facts)
	}
	again := eval[string](b, `(document.querySelector("[data-theme-set=light]").click(), location.hash)`)
	if !strings.Contains(again, "theme=light") || !strings.Contains(again, "sample.generation=4") {
		t.Errorf("the address became %q", again)
	}
	eval[int](b, `(location.hash = "", 1)`)
	b.wait(subjects + `[0] === "Trauma narrative · gemini-like"`)
	b.quiet()
}

func switchBetweenTerms(t *testing.T, ctx context.Context) {
	live(t)
	l, study := calibratedFixture(t)
	f := measure(t, l, study)
	path := saved(t, "corrected", f, PageOptions{})
	b := visit(t, ctx, path, "#behaviour=Trauma+narrative&arm=seeded&line=alder&show=seeded&show=control", desk)
	// The solid lines of eight points: their width, and the heights of the points.
	const drawn = `[...document.querySelectorAll("[data-figure=prevalence] .plot path")].filter(p => p.getAttribute("fill") === "none" && !p.getAttribute("stroke-dasharray"))
		.map(p => [+(p.getAttribute("stroke-width") ?? 1), ...[...p.getAttribute("d").matchAll(/[ML]\s*[\d.]+[ ,]([\d.]+)/g)].map(m => +m[1])]).filter(l => l.length === 9).sort((a, b) => a[0] - b[0])`
	c := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs)
	var raw, corrected []float64
	for _, p := range c.Points {
		raw, corrected = append(raw, p.Prevalence.Mean), append(corrected, p.Corrected.Mean)
	}
	check := func(what string, widths []float64, want ...[]float64) {
		t.Helper()
		lines := eval[[][]float64](b, drawn)
		if len(lines) != len(want) {
			t.Fatalf("%s: %d lines instead of %d", what, len(lines), len(want))
		}
		for i, values := range want {
			if lines[i][0] != widths[i] {
				t.Errorf("%s: a line is %g wide instead of %g", what, lines[i][0], widths[i])
			}
			// Heights are a straight line of what they show, the same for every point.
			low, high := slices.Index(values, slices.Min(values)), slices.Index(values, slices.Max(values))
			ys := lines[i][1:]
			slope := (ys[high] - ys[low]) / (values[high] - values[low])
			for g, v := range values {
				if off := ys[g] - ys[low] - slope*(v-values[low]); math.Abs(off) > 1 || slope >= 0 {
					t.Errorf("%s: generation %d is drawn %g pixels off", what, g, off)
				}
			}
		}
	}
	both := func(what string) { t.Helper(); check(what, []float64{1, 2.2}, raw, corrected) }
	both("opening")
	b.shoot("corrected")
	note := `document.querySelector("[data-figure=prevalence] .note").textContent`
	if s := eval[string](b, note); !strings.Contains(s, "PPI++") || !strings.Contains(s, "calibration") {
		t.Errorf("note %q", s)
	}
	b.do(chromedp.Click(`[data-figure=prevalence] [data-terms=raw]`))
	b.wait(`document.querySelector("[data-figure=prevalence] [data-terms=raw]").getAttribute("aria-pressed") === "true" && ` + note + `.includes("errors included")`)
	check("raw", []float64{2.2}, raw)
	if hash := eval[string](b, `location.hash`); !strings.Contains(hash, "terms=raw") {
		t.Errorf("the address does not keep the choice: %s", hash)
	}
	b.do(chromedp.Click(`[data-figure=prevalence] [data-terms=corrected]`))
	b.wait(`!` + note + `.includes("errors included")`)
	both("back")
	b.sweep()
	b.quiet()
	// A behaviour without a calibration has no switch, and says why.
	b = visit(t, ctx, path, "#behaviour=Awakening", desk)
	if n := eval[int](b, `document.querySelectorAll("[data-terms]").length`); n != 0 {
		t.Errorf("%d buttons for rates that cannot be corrected", n)
	}
	if s := eval[string](b, note); !strings.Contains(s, "uncorrected: the ledger has no calibration") {
		t.Errorf("note %q", s)
	}
	for name, s := range map[string]screen{"corrected-dark": {width: 1280, height: 900, dark: true}, "corrected-narrow": {width: 400, height: 800}, "corrected-noscript": {width: 1280, height: 900, noScript: true}} {
		b = visit(t, ctx, path, "", s)
		if wide := eval[int](b, `document.documentElement.scrollWidth`); int64(wide) > s.width {
			t.Errorf("%s: the page is %d pixels wide on %d", name, wide, s.width)
		}
		b.shoot(name)
	}
}

func clickLeadsToSamples(t *testing.T, ctx context.Context) {
	live(t)
	b := visit(t, ctx, saved(t, "click", invented(extent{3, 1, 2, 5, 6, 60}, plainly), PageOptions{}), "", desk)
	cell := eval[[]float64](b, `(() => { const p = document.querySelector("[data-figure=heat] .plot"); p.scrollIntoView({block: "center", behavior: "instant"}); const t = [...p.querySelectorAll("text")].find(t => t.textContent === "3"), r = p.getBoundingClientRect(); return [t.getBoundingClientRect().x + 3, r.y + 20]; })()`)
	b.do(chromedp.MouseClickXY(cell[0], cell[1]))
	hash := eval[string](b, `location.hash`)
	for _, want := range []string{"sample.generation=3", "sample.arm=seeded", "sample.behaviour=Trauma+narrative", "sample.part=0"} {
		if !strings.Contains(hash, want) {
			t.Errorf("the address %q lacks %s", hash, want)
		}
	}
	b.quiet()
}

func tableIsTheFindings(t *testing.T, ctx context.Context) {
	for _, n := range []extent{{4, 2, 3, 6, 9, 5}, {2, 1, 1, 3, 4, 5}} {
		f := invented(n, plainly)
		x := newIndex(f)
		figures, err := x.figures(false)
		if err != nil {
			t.Fatal(err)
		}
		b := visit(t, ctx, saved(t, "table", f, PageOptions{}), "", desk)
		eval[int](b, `(() => { const real = URL.createObjectURL; URL.createObjectURL = blob => { window.kept = blob; return real.call(URL, blob); }; return 1; })()`)
		for _, d := range figures {
			if len(d.Table.Rows) == 0 {
				continue
			}
			rows, err := csv.NewReader(strings.NewReader(eval[string](b, fmt.Sprintf(`(document.querySelector("[data-figure=%s] [data-tool=CSV]").click(), window.kept.text())`, d.ID)))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			want := [][]string{d.Table.Head}
			for _, row := range d.Table.Rows {
				var cells []string
				for _, c := range row {
					cells = append(cells, fmt.Sprint(c))
				}
				want = append(want, cells)
			}
			if len(rows) != len(want) {
				t.Fatalf("%s: CSV has %d rows instead of %d", d.ID, len(rows), len(want))
			}
			for i := range want {
				if strings.Join(rows[i], "|") != strings.Join(want[i], "|") {
					t.Fatalf("%s: row %d of the CSV is %q instead of %q", d.ID, i, rows[i], want[i])
				}
			}
			if shown := eval[int](b, fmt.Sprintf(`(document.querySelector("[data-figure=%s] [data-tool=Table]").click(), document.querySelectorAll("[data-figure=%[1]s] .table tbody tr").length)`, d.ID)); shown != min(500, len(d.Table.Rows)) {
				t.Errorf("%s: the table has %d rows instead of %d", d.ID, shown, len(d.Table.Rows))
			}
		}
		b.quiet()
	}
}

func picturesCarryTitle(t *testing.T, ctx context.Context) {
	live(t)
	b := visit(t, ctx, saved(t, "pictures", invented(extent{3, 2, 2, 5, 6, 5}, told(payloads[3])), PageOptions{}), "", desk)
	eval[int](b, `(() => { URL.createObjectURL = blob => { window.kept = blob; return "data:,"; }; return 1; })()`)
	for _, id := range eval[[]string](b, `[...document.querySelectorAll("[data-figure]")].map(f => f.dataset.figure)`) {
		drawing := eval[string](b, fmt.Sprintf(`(document.querySelector("[data-figure=%s] [data-tool=SVG]").click(), window.kept.text())`, id))
		decoder, text := xml.NewDecoder(strings.NewReader(drawing)), ""
		for token, err := decoder.Token(); ; token, err = decoder.Token() {
			if err != nil {
				if err.Error() != "EOF" {
					t.Errorf("%s: SVG is not well formed: %v", id, err)
				}
				break
			}
			switch e := token.(type) {
			case xml.CharData:
				text += string(e)
			case xml.StartElement:
				if n := e.Name.Local; n == "img" || n == "script" {
					t.Errorf("%s: SVG has an element %s", id, n)
				}
			}
		}
		if !strings.Contains(text, payloads[3]+" study 0") || !strings.Contains(text, "digest") {
			t.Errorf("%s: SVG does not name the study", id)
		}
		picture := eval[string](b, fmt.Sprintf(`(window.kept = null, document.querySelector("[data-figure=%s] [data-tool=PNG]").click(), new Promise(done => { const look = () => window.kept ? window.kept.arrayBuffer().then(a => done([...new Uint8Array(a)].map(c => String.fromCharCode(c)).join(""))) : setTimeout(look, 20); look(); }))`, id))
		raw := make([]byte, 0, len(picture))
		for _, r := range picture {
			raw = append(raw, byte(r))
		}
		keep(t, "picture-"+id+".png", raw)
		keep(t, "picture-"+id+".svg", []byte(drawing))
		if c, err := png.DecodeConfig(bytes.NewReader(raw)); err != nil || c.Width != 3300 {
			t.Errorf("%s: PNG of %d bytes is %d pixels wide (%v)", id, len(raw), c.Width, err)
		}
	}
	b.quiet()
}

func savedPageDrawsAgain(t *testing.T, ctx context.Context) {
	b := visit(t, ctx, saved(t, "first", invented(extent{3, 2, 2, 5, 6, 30}, plainly), PageOptions{}), "", desk)
	count := `[document.querySelectorAll(".plot svg").length, document.querySelectorAll(".made").length, document.querySelectorAll(".sample").length]`
	before := fmt.Sprint(eval[[]int](b, count))
	path := filepath.Join(t.TempDir(), "again.html")
	if err := os.WriteFile(path, []byte("<!doctype html>"+eval[string](b, `document.documentElement.outerHTML`)), 0o644); err != nil {
		t.Fatal(err)
	}
	again := visit(t, ctx, path, "", desk)
	again.wait(fmt.Sprintf(`String(%s) === "%s"`, count, strings.ReplaceAll(strings.Trim(before, "[]"), " ", ",")))
	again.quiet()
}

func pageReadsWithoutScripts(t *testing.T, ctx context.Context) {
	s := desk
	s.noScript = true
	b := visit(t, ctx, saved(t, "unscripted", invented(extent{3, 2, 2, 5, 6, 30}, plainly), PageOptions{}), "", s)
	b.shoot("unscripted")
	seen := eval[[]int](b, `[[...document.querySelectorAll("svg.static")].filter(s => s.getBoundingClientRect().height > 100).length, document.querySelectorAll("noscript table").length, document.querySelectorAll(".number").length, document.querySelectorAll("#verdict-table tbody").length]`)
	if seen[0] < 3 || seen[1] != 3 || seen[2] != 4 || seen[3] == 0 {
		t.Errorf("without scripts the page has %d figures, %d tables, %d numbers and %d verdicts", seen[0], seen[1], seen[2], seen[3])
	}
}

func printingRestores(t *testing.T, ctx context.Context) {
	live(t)
	b := visit(t, ctx, saved(t, "paper", invented(extent{3, 2, 2, 5, 6, 5}, plainly), PageOptions{}), "#theme=dark", desk)
	before := eval[int](b, `document.querySelector(".plot svg").getBoundingClientRect().width`)
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF())
	if err != nil || len(pdf) < 20_000 {
		t.Fatalf("printing gave %d bytes (%v)", len(pdf), err)
	}
	keep(t, "paper.pdf", pdf)
	b.wait(fmt.Sprintf(`document.documentElement.dataset.theme === "dark" && document.querySelector(".plot svg").getBoundingClientRect().width === %d`, before))
	b.quiet()
}

func staticPageFollows(t *testing.T, ctx context.Context) {
	b := visit(t, ctx, saved(t, "static", invented(extent{4, 2, 2, 5, 8, 30}, plainly), PageOptions{Static: true}), "#line=claude-like&behaviour=Sycophantic+opener", desk)
	b.shoot("static")
	seen := eval[[]string](b, `[...document.querySelectorAll(".still")].filter(s => s.getBoundingClientRect().height > 100).map(s => s.dataset.key)`)
	if want := "1/1 behaviours/1/1 1/1"; strings.Join(seen, " ") != want {
		t.Errorf("shown are the static figures %q instead of %q", seen, want)
	}
	if note := eval[string](b, `document.querySelector("#static-note").innerText`); !strings.Contains(note, "build.mjs") {
		t.Errorf("the note says %q", note)
	}
	b.quiet()
}
