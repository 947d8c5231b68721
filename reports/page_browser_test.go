package reports

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser starts Chromium once for a test, or skips it where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium is installed")
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("headless", true), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(60*time.Second),
	)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return ctx
}

// tab is a page under watch: whatever it complains of or asks the network for
// is a fault of the test.
type tab struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

type screen struct {
	width, height int64
	dark          bool
	noScript      bool
}

// visit opens a file of the test's directory and waits until it has drawn.
func visit(t *testing.T, in context.Context, file, hash string, s screen) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			b.bad = append(b.bad, fmt.Sprintf("console.%s %v", e.Type, e.Args))
		case *runtime.EventExceptionThrown:
			text := e.ExceptionDetails.Text
			if o := e.ExceptionDetails.Exception; o != nil {
				text += ": " + o.Description
			}
			b.bad = append(b.bad, "exception "+text)
		case *log.EventEntryAdded:
			b.bad = append(b.bad, "log "+e.Entry.Text)
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, "file://") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
				b.bad = append(b.bad, "request "+u)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	b.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, media); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: s.noScript})
		return err
	}), chromedp.EmulateViewport(s.width, s.height), chromedp.Navigate("file://"+file+hash))
	if !s.noScript {
		b.wait(`document.documentElement.dataset.ready`)
	}
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatalf("%v; %q", err, b.complaints())
	}
}

// wait polls until an expression holds.
func (b *tab) wait(holds string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[any](holds, chromedp.WithPollingInterval(50*time.Millisecond))); err != nil {
		b.t.Fatalf("%s does not come to hold: %v; %q", holds, err, b.complaints())
	}
}

func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bad
}

// quiet fails the test where the page complained, ran a payload or asked the network.
func (b *tab) quiet() {
	b.t.Helper()
	if bad := b.complaints(); len(bad) > 0 {
		b.t.Errorf("the page is not quiet: %q", bad)
	}
	if eval[bool](b, `"PWN" in window`) {
		b.t.Error("a payload ran")
	}
	if status := eval[string](b, `document.querySelector("#status").textContent`); status != "" {
		b.t.Errorf("status line says %q", status)
	}
}

// inert fails the test where text of a page that was opened throughout is more than text.
func (b *tab) inert() {
	b.t.Helper()
	b.sweep()
	if n := eval[int](b, `[...document.querySelectorAll("script")].filter(s => !s.type).length`); n != 1 {
		b.t.Errorf("%d scripts in the page instead of 1", n)
	}
	if n := eval[int](b, `document.querySelectorAll("img, iframe, object, [onload], [onerror]").length`); n != 0 {
		b.t.Errorf("%d elements came out of text", n)
	}
	if n := eval[int](b, `document.querySelectorAll(".unseen").length`); n == 0 {
		b.t.Error("no hidden character is shown")
	}
	b.quiet()
}

// eval gives the value of an expression in the page.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// sweep moves the pointer over every figure and clicks into its middle.
func (b *tab) sweep() {
	b.t.Helper()
	for i := range eval[int](b, `document.querySelectorAll(".plot").length`) {
		box := eval[[]float64](b, fmt.Sprintf(`(() => { const p = document.querySelectorAll(".plot")[%d]; p.scrollIntoView({block: "center", behavior: "instant"}); const r = p.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()`, i))
		for _, y := range []float64{0.2, 0.5, 0.8} {
			for x := 0.05; x < 1; x += 0.15 {
				b.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0]+x*box[2], box[1]+y*box[3]))
			}
		}
		b.do(chromedp.MouseClickXY(box[0]+box[2]/2, box[1]+box[3]/2))
	}
}

// keep saves a file where HEIRLOOM_SHOTS names a directory, for a person to look at.
func keep(t *testing.T, name string, data []byte) {
	t.Helper()
	if dir := os.Getenv("HEIRLOOM_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shoot keeps a picture of the whole page.
func (b *tab) shoot(name string) {
	b.t.Helper()
	if os.Getenv("HEIRLOOM_SHOTS") == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	keep(b.t, name+".png", png)
}

// saved writes a report into a file of the test.
func saved(t *testing.T, name string, f *Findings, o PageOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.HTML(&b, o); err != nil {
		t.Fatal(err)
	}
	return savedPage(t, name, b.String())
}

func savedPage(t *testing.T, name, page string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// overlaps lists pairs of labels in figures that lie on each other.
const overlaps = `[...document.querySelectorAll(".plot")].flatMap(plot => {
	const boxes = [...plot.querySelectorAll("svg text")].map(t => [t.textContent, t.getBoundingClientRect()]).filter(b => b[1].width);
	const hits = [];
	boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
		const w = Math.min(p.right, q.right) - Math.max(p.left, q.left), h = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
		if (w > 1.5 && h > 3.5) hits.push(plot.parentNode.id + ": " + a + " / " + b);
	}));
	return hits;
})`
