package reports

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSurveyInABrowser runs pages of surveys in Chromium, one browser for all.
func TestSurveyInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx := browser(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context)
	}{
		{"hostile text stays text", hostileSurveyStaysText},
		{"every shape is drawn without overlap", everySurveyIsDrawn},
		{"a click leads to the answers", surveyClickLeadsToAnswers},
		{"the table is the findings", surveyTableIsTheFindings},
		{"a page reads without scripts", surveyReadsWithoutScripts},
		{"ten thousand transcripts are paged and sifted", manyTranscriptsAreUsable},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, ctx) })
	}
}

func savedSurvey(t *testing.T, name string, f *SurveyFindings, o PageOptions) string {
	t.Helper()
	return savedPage(t, name, surveyPageOf(t, f, o))
}

func hostileSurveyStaysText(t *testing.T, ctx context.Context) {
	i := 0
	word := func(kind string, n int) string {
		i++
		if kind == "subject" || kind == "detector" { // the same in every call
			return fmt.Sprintf("%s %s %d", payloads[(n*5+len(kind))%len(payloads)], kind, n)
		}
		return fmt.Sprintf("%s %s %d %s", payloads[i%len(payloads)], kind, n, payloads[(i*7+3)%len(payloads)])
	}
	for _, files := range []bool{false, true} {
		for _, static := range []bool{false, true} {
			f := polled{subjects: 5, behaviours: 4, questions: 6, draws: 2, far: true, files: files, reference: 0, word: word}.findings(t)
			b := visit(t, ctx, savedSurvey(t, "hostile", f, PageOptions{Version: payloads[0], Command: payloads[0], Static: static}), "#arm=%3Cimg+src%3Dx+onerror%3Dwindow.PWN%3D1%3E&sample.text=%3C", desk)
			eval[int](b, `(document.querySelectorAll("[data-tool=Table]").forEach(e => e.click()), document.querySelectorAll("details").forEach(e => e.open = true), document.querySelectorAll(".read").forEach(e => e.click()), 1)`)
			b.inert()
		}
	}
}

func everySurveyIsDrawn(t *testing.T, ctx context.Context) {
	live(t)
	phone := screen{width: 400, height: 800}
	night := desk
	night.dark = true
	for _, c := range []struct {
		name    string
		shape   polled
		screens []screen
	}{
		{"survey-one", polled{subjects: 1, behaviours: 1, questions: 3, draws: 2, reference: -1}, []screen{desk}},
		{"survey-middle", polled{subjects: 4, behaviours: 3, questions: 12, draws: 4, far: true, reference: 0}, []screen{desk, night, phone}},
		{"survey-wide", polled{subjects: 12, behaviours: 14, questions: 8, draws: 2, far: true, reference: 0}, []screen{desk, phone}},
		{"detect-page", polled{subjects: 3, behaviours: 2, questions: 60, draws: 1, files: true, reference: -1}, []screen{desk, night, phone}},
	} {
		c.shape.word = plainly
		file := savedSurvey(t, c.name, c.shape.findings(t), PageOptions{Version: "v1", Command: "heirloom survey mine.yaml"})
		for _, s := range c.screens {
			b := visit(t, ctx, file, "", s)
			if n := eval[int](b, `document.querySelectorAll("[data-figure=matrix] .plot svg path").length`); n < 1 {
				t.Errorf("%s %v: not drawn", c.name, s)
			}
			if hits := eval[[]string](b, overlaps); len(hits) > 0 {
				t.Errorf("%s %v: labels overlap: %.300q", c.name, s, hits)
			}
			if over := eval[int](b, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				t.Errorf("%s %v: the page is %d pixels too wide", c.name, s, over)
			}
			b.quiet()
			b.shoot(fmt.Sprintf("%s-%d-%v", c.name, s.width, s.dark))
		}
	}
}

func surveyClickLeadsToAnswers(t *testing.T, ctx context.Context) {
	live(t)
	b := visit(t, ctx, savedSurvey(t, "click", ordinarySurvey.findings(t), PageOptions{}), "", desk)
	box := eval[[]float64](b, `(() => { const p = document.querySelector(".plot"); p.scrollIntoView({block: "center", behavior: "instant"}); const r = [...p.querySelectorAll("svg path")].map(e => e.getBoundingClientRect()).filter(r => r.height > 15 && r.height < 40 && r.width > 60).at(-1); return [r.x, r.y, r.width, r.height]; })()`)
	b.do(chromedp.MouseClickXY(box[0]+box[2]/2, box[1]+box[3]/2))
	b.wait(`document.querySelectorAll(".sample").length > 0 && location.hash.includes("sample.arm")`)
	subject := eval[string](b, `new URLSearchParams(location.hash.slice(1)).get("sample.arm")`)
	if n := eval[int](b, fmt.Sprintf(`[...document.querySelectorAll(".sample")].filter(s => !s.textContent.includes(%q)).length`, subject)); n > 0 {
		t.Errorf("%d of the samples after the click are not of %s", n, subject)
	}
	if n := eval[int](b, `document.querySelectorAll(".sample mark").length`); n == 0 {
		t.Error("no evidence is marked")
	}
	if n := eval[int](b, `document.querySelectorAll(".sample .turn").length`); n == 0 {
		t.Error("the turns before are not shown")
	}
	b.quiet()
}

func surveyTableIsTheFindings(t *testing.T, ctx context.Context) {
	f := ordinarySurvey.findings(t)
	b := visit(t, ctx, savedSurvey(t, "table", f, PageOptions{}), "", desk)
	rows := eval[[][]string](b, `(document.querySelector("[data-tool=Table]").click(), [...document.querySelectorAll("[data-figure=matrix] .table tbody tr")].map(r => [...r.children].map(c => c.textContent)))`)
	if len(rows) != len(f.Cells) {
		t.Fatalf("%d rows for %d cells", len(rows), len(f.Cells))
	}
	if n := eval[int](b, `document.querySelectorAll("#estimate-table tbody").length`); n != len(f.Cells) {
		t.Errorf("%d estimates for %d cells", n, len(f.Cells))
	}
	for _, c := range f.Cells {
		found := false
		for _, row := range rows {
			found = found || row[0] == c.Subject && row[7] == fmt.Sprint(c.Tally.N()) && row[8] == fmt.Sprint(c.Tally.Present) && strings.HasPrefix(row[2], c.Context)
		}
		if !found {
			t.Errorf("%+v is not in the table", c)
		}
	}
	b.quiet()
}

func surveyReadsWithoutScripts(t *testing.T, ctx context.Context) {
	s := desk
	s.noScript = true
	b := visit(t, ctx, savedSurvey(t, "plain", ordinarySurvey.findings(t), PageOptions{}), "", s)
	b.shoot("survey-noscript")
}

func manyTranscriptsAreUsable(t *testing.T, ctx context.Context) {
	many := polled{subjects: 2, behaviours: 1, questions: 5000, draws: 1, files: true, reference: -1, word: plainly}
	b := visit(t, ctx, savedSurvey(t, "many", many.findings(t), PageOptions{}), "", desk)
	if n := eval[int](b, `document.querySelectorAll(".sample").length`); n != 12 {
		t.Errorf("%d samples on the first page", n)
	}
	says := eval[string](b, `document.querySelector("#sample-count").textContent`)
	if !strings.Contains(says, "more texts were read and are not in this file") {
		t.Errorf("says %q", says)
	}
	eval[int](b, `(document.querySelector("[data-page='1']").click(), 1)`)
	b.wait(`document.querySelector("#page-number").textContent.startsWith("Page 2")`)
	eval[int](b, `(() => { const s = [...document.querySelectorAll("#filters select")].find(s => s.textContent.includes("present")); s.value = "2"; s.dispatchEvent(new Event("change")); return 1; })()`)
	b.wait(`[...document.querySelectorAll(".sample .badge")].every(b => b.textContent === "present")`)
	b.quiet()
}
