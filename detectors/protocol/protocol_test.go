package protocol

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/detectortest"
)

// tortured is a command that runs the test binary as a detector.
func tortured(t testing.TB, args ...string) Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := Command{Command: append([]string{self, "torture"}, args...), Asking: defaults}
	return c
}

// told collects what is logged.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) log(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func open(t testing.TB, c Command, log *told) *Detector {
	t.Helper()
	env := detectors.Env{}
	if log != nil {
		env.Log = log.log
	}
	d, err := c.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func said(text string) detectors.Utterance {
	return detectors.Utterance{Messages: []detectors.Message{{Role: "user", Content: "Well?"}, {Role: "assistant", Content: text}}}
}

func utterances(texts ...string) (us []detectors.Utterance) {
	for _, text := range texts {
		us = append(us, said(text))
	}
	return us
}

// right is the result of a text that meets no fault.
func right(text string) detectors.Result {
	score, spans := judged(text)
	r := detectors.Judged(score, .5, nil, fmt.Sprintf("%d times", len(spans)))
	for i := 0; ; {
		at := strings.Index(text[i:], "no")
		if at < 0 {
			return r
		}
		r.Spans = append(r.Spans, detectors.Span{Start: i + at, End: i + at + 2})
		i += at + 2
	}
}

func same(a, b detectors.Result) bool {
	return a.Outcome == b.Outcome && a.Score == b.Score && a.Reason == b.Reason && slices.Equal(a.Spans, b.Spans)
}

func TestDetectorsBehindTheProtocolKeepTheContract(t *testing.T) {
	detectortest.Run(t, "command", func() detectors.Detector { return open(t, tortured(t, "good"), nil) })
	detectortest.Run(t, "several processes, small batches", func() detectors.Detector {
		c := tortured(t, "good")
		c.Processes, c.Batch = 3, 2
		return open(t, c, nil)
	})
}

// tortures are texts that meet a fault, what their result says, and what is
// logged of it. The first have no right result; the others have.
var tortures = []struct {
	text, reason, log string
	slow              bool // waits for the timeout
}{
	{"DIE now", "the detector ended with exit status 3", "started again", false},
	{"ABORT now", "the detector ended with exit status 2", "out of memory", false},
	{"HANG now", "the detector gave no answer within 3s", "counts as not scorable", true},
	{"DRIP now", "the detector gave no answer within 3s", "counts as not scorable", true},
	{"DEAF now", "the detector gave no answer within 3s", "counts as not scorable", true},
	{"CLOSE now", "the detector closed its standard output", "counts as not scorable", true},
	{"LONG now", "the detector sent a line of more than 262144 bytes", "counts as not scorable", false},
	{"LATIN now", "is not UTF-8", "counts as not scorable", false},
	{"NAN now", "null says that a text cannot be scored", "counts as not scorable", false},
	{"SEVEN now", "the score 7 is not a number within [0,1]", "counts as not scorable", false},
	{"SCORELESS now", `has no "score"`, "counts as not scorable", false},
	{"WORDY now", `the score "high" is not a number`, "counts as not scorable", false},
	{"RAISES now", "the detector failed on it: ValueError:  [31mred", "counts as not scorable", false},
	{"RUBBISH no", "", "print to stderr instead", false},
	{"TWICE no", "", "the first answer stands", false},
	{"UNKNOWN no", "", "was not asked", false},
}

func TestTortureLosesNoRowWhateverTheBatchAndTheProcesses(t *testing.T) {
	for _, torture := range tortures {
		t.Run(strings.Fields(torture.text)[0], func(t *testing.T) {
			t.Parallel()
			if torture.slow && testing.Short() {
				t.Skip("waits for timeouts")
			}
			var texts []string
			for i := range 120 {
				texts = append(texts, strings.Repeat("no é 🌀 ", i%5)+fmt.Sprint("row ", i))
			}
			texts[0], texts[77] = torture.text, torture.text
			var first []detectors.Result
			for _, shape := range [][2]int{{0, 1}, {1, 1}, {7, 3}, {500, 2}} {
				results := tormented(t, texts, torture.log, shape)
				for i, r := range results {
					if i == 0 || i == 77 {
						checkTorment(t, torture.text, torture.reason, r)
					} else if want := right(texts[i]); !same(r, want) {
						t.Fatalf("batch %d, %d processes: row %d gives %+v, want %+v", shape[0], shape[1], i, r, want)
					}
				}
				if first == nil {
					first = results
				} else if !slices.EqualFunc(first, results, same) {
					t.Errorf("batch %d, %d processes give other results", shape[0], shape[1])
				}
				if torture.slow {
					break // one shape is slow enough
				}
			}
		})
	}
}

func tormented(t *testing.T, texts []string, wantLog string, shape [2]int) []detectors.Result {
	t.Helper()
	var log told
	c := tortured(t, "good")
	c.Timeout, c.Batch, c.Processes = 60, shape[0], shape[1]
	if strings.Contains("HANG DRIP DEAF", strings.Fields(texts[0])[0]) {
		c.Timeout = 3
	}
	d := open(t, c, &log)
	results, err := d.Detect(t.Context(), utterances(texts...))
	if err != nil {
		t.Fatalf("batch %d, %d processes: %v", shape[0], shape[1], err)
	}
	if !strings.Contains(log.String(), wantLog) {
		t.Errorf("the log does not say %q: %s", wantLog, &log)
	}
	return results
}

func checkTorment(t *testing.T, text, reason string, r detectors.Result) {
	t.Helper()
	switch {
	case reason == "" && !same(r, right(text)):
		t.Errorf("%s: %+v, want %+v", text, r, right(text))
	case reason != "" && (r.Outcome != detectors.NotScorable || !strings.Contains(r.Reason, reason)):
		t.Errorf("%s: %+v, want not scorable and the reason %q", text, r, reason)
	}
}

func TestWhatFailsIsCounted(t *testing.T) {
	var log told
	d := open(t, tortured(t, "good"), &log)
	if _, err := d.Detect(t.Context(), utterances("a no", "DIE now", "SEVEN now", "b", " ")); err != nil {
		t.Fatal(err)
	}
	d.Close()
	// The text that kills is asked with the others, and twice alone.
	want := Stats{Rows: 4, NotJudged: 2, Restarts: 3, Cost: .5}
	if got := d.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, want := range []string{"2 of 4 texts could not be judged", "the answers cost 0.5"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
	if _, err := d.Detect(t.Context(), utterances("x")); err == nil || !strings.Contains(err.Error(), "is closed") {
		t.Errorf("once closed it gives %v", err)
	}
}

func TestBrokenDetectorsAreErrorsWhenTheyAreOpened(t *testing.T) {
	for mode, want := range map[string]string{
		"mute":     "did not answer hello within 1s",
		"echo":     "it repeats what it is sent",
		"dead":     "ended with exit status 3 before it was ready; its last words: no module named spiral",
		"flood":    "prints without end",
		"refuses":  "it says: config.words is missing",
		"nameless": `has no name`,
		"future":   "speaks version 2 of the protocol, and this program speaks 1",
		"seven":    "cannot judge a plain sentence",
		"raises":   "KeyError: words",
	} {
		c := tortured(t, mode)
		if mode == "mute" {
			c.Start = 1
		}
		d, err := c.Open(detectors.Env{})
		if err == nil {
			d.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", mode, err, want)
		}
	}
}

func TestDetectorThatFailsOnEveryTextIsAnError(t *testing.T) {
	c := tortured(t, "hates")
	d := open(t, c, nil)
	var texts []string
	for i := range 200 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	_, err := d.Detect(t.Context(), utterances(texts...))
	if err == nil || !strings.Contains(err.Error(), "could not judge 32 texts one after the other") || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("error %v", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain.py"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	seven := 7.0
	for want, c := range map[string]Command{
		"command.command: is not given":                                      {Asking: defaults},
		`there is no program "nonesuch" in the search path`:                  {Command: []string{"nonesuch"}, Asking: defaults},
		"is not executable; name its interpreter":                            {Command: []string{"./plain.py"}, Asking: defaults},
		"command.timeout: 0 is not within":                                   {Command: []string{"true"}, Asking: Asking{Start: 1, Processes: 1}},
		"command.processes: 0 is not within":                                 {Command: []string{"true"}, Asking: Asking{Start: 1, Timeout: 1}},
		"command.threshold: 7 is not within 0 and 1":                         {Command: []string{"true"}, Asking: Asking{Start: 1, Timeout: 1, Processes: 1, Threshold: &seven}},
		"command.files: weights.bin is no file in":                           {Command: []string{"true"}, Asking: Asking{Start: 1, Timeout: 1, Processes: 1, Files: []string{"weights.bin"}}},
		"command true: ended with exit status 0 before it was ready":         {Command: []string{"true"}, Asking: defaults},
		"command.command: an argument holds a NUL character":                 {Command: []string{"true", "\x00"}, Asking: defaults},
		"command.command: stat " + filepath.Join(dir, "bin/x") + ": no such": {Command: []string{"bin/x"}, Asking: defaults},
	} {
		if _, err := c.Open(detectors.Env{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestThresholdOfTheExperimentStands(t *testing.T) {
	c := tortured(t, "good")
	high := .8
	c.Threshold = &high
	results, err := open(t, c, nil).Detect(t.Context(), utterances("no", "no no no no no"))
	if err != nil || results[0].Outcome != detectors.Absent || results[1].Outcome != detectors.Present {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestSpansComeBackAsBytes(t *testing.T) {
	var log told
	text := "SPANS é🌀\xff no 我"
	results, err := open(t, tortured(t, "good"), &log).Detect(t.Context(), utterances(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []detectors.Span{{Start: 0, End: 5}, {Start: 6, End: 8, Label: "late"}}
	if !slices.Equal(results[0].Spans, want) || results[0].Outcome != detectors.Present {
		t.Errorf("%+v, want the spans %v", results[0], want)
	}
	if !strings.Contains(log.String(), "spans overlap") {
		t.Errorf("nothing is said of the spans that are left out: %s", &log)
	}
}

func TestLongLineIsRefusedWithoutTakingItsMemory(t *testing.T) {
	d := open(t, tortured(t, "good"), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := d.Detect(t.Context(), utterances("LONG now")); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 20<<20 {
		t.Errorf("two lines of 100 MB took %d MB", took>>20)
	}
}

func TestCancelledContextEndsAHangingQuestion(t *testing.T) {
	d := open(t, tortured(t, "good"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if _, err := d.Detect(ctx, utterances("HANG now")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	results, err := d.Detect(t.Context(), utterances("no"))
	if err != nil || !same(results[0], right("no")) {
		t.Errorf("afterwards it gives %+v, %v", results, err)
	}
}

func TestDigestCoversWhatTheAnswersDependOn(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	digest := func(change func(*Command)) string {
		c := tortured(t, "good", "script.py")
		change(&c)
		d, err := c.Open(detectors.Env{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Digest()
	}
	write("script.py", "one")
	write("weights", "one")
	same := func(*Command) {}
	first := digest(same)
	if again := digest(func(c *Command) { c.Batch, c.Processes = 3, 2 }); again != first {
		t.Errorf("batch and processes, which change no answer, change the digest")
	}
	for what, change := range map[string]func(*Command){
		"config":    func(c *Command) { c.Config = map[string]any{"a": 1} },
		"arguments": func(c *Command) { c.Command = append(c.Command, "x") },
		"files":     func(c *Command) { c.Files = []string{"weights"} },
	} {
		if digest(change) == first {
			t.Errorf("the digest overlooks the %s", what)
		}
	}
	write("script.py", "two")
	if digest(same) == first {
		t.Error("the digest overlooks the content of the script")
	}
}
