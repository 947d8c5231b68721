package cmd

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/sim"
)

// inspectLog is a log of the Inspect framework: three questions, four epochs each.
func inspectLog(answer func(question, epoch int) string) string {
	var samples []string
	for q := range 3 {
		for e := range 4 {
			a, _ := json.Marshal(answer(q, e))
			samples = append(samples, fmt.Sprintf(`{"id":"q%d","epoch":%d,"input":"question %d","messages":[{"role":"user","content":"question %d"},{"role":"assistant","content":"a first trait"},{"role":"user","content":"and?"},{"role":"assistant","content":[{"type":"reasoning","reasoning":"trait"},{"type":"text","text":%s}]}],"output":{"model":"m","choices":[]},"events":[]}`, q, e+1, q, q, a))
		}
	}
	return `{"version":2,"eval":{"model":"m"},"samples":[` + strings.Join(samples, ",") + `]}`
}

func traits(question, epoch int) string {
	if question == 0 || question == 1 && epoch < 2 {
		return "the trait"
	}
	return "nothing"
}

func TestDetectJudgesInspectLogsByQuestion(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "log.json"), filepath.Join(dir, "page.html")
	os.WriteFile(file, []byte(inspectLog(traits)), 0o600)
	find := []string{"-d", "lexicon", "--set", "words=[trait]"}
	code, stdout, stderr := heirloom(t, append([]string{"detect", file, "--html", page}, find...)...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	row := strings.Fields(strings.Split(stdout, "\n")[1])
	if got := strings.Join(row[1:6], " "); got != "lexicon 12 6 6 0" {
		t.Errorf("counts are %q in %s", got, stdout)
	}
	if !strings.Contains(stdout, "questions") || !strings.Contains(stderr, "3 questions are too few to tell how much questions differ") {
		t.Errorf("does not say that answers come by question: %s%s", stdout, stderr)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("Content-Security-Policy")) || !bytes.Contains(html, []byte("lexicon finds 50.0% of 12 turns")) {
		t.Errorf("the page: %v", err)
	}
	code, stdout, _ = heirloom(t, append([]string{"detect", file, "--every-turn"}, find...)...)
	if row := strings.Fields(strings.Split(stdout, "\n")[1]); code != exitDone || strings.Join(row[1:6], " ") != "lexicon 24 18 6 0" {
		t.Errorf("every turn: %s", stdout)
	}
	code, stdout, _ = heirloom(t, append([]string{"detect", file, "--json"}, find...)...)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	var last detection
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); code != exitDone || err != nil || len(lines) != 12 || string(last.ID) != `"q2"` || string(last.Epoch) != "4" || last.Row != 11 {
		t.Errorf("%d lines, the last %+v, %v", len(lines), last, err)
	}
}

func TestDetectAnswersBrokenLogs(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("samples/1_epoch_1.json")
	w.Write([]byte(`{"id":1,"epoch":1,"input":"q","output":{"choices":[{"message":{"role":"assistant","content":"trait"}}]}}`))
	z.Close()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"cut.eval":  {b.Bytes()[:b.Len()-10], "the zip directory at its end is missing or damaged"},
		"rows.json": {[]byte(`[1]`), "rows of JSON belong in a .jsonl file"},
		"cut.json":  {[]byte(inspectLog(traits)[:400]), "the JSON ends too early"},
	} {
		file := filepath.Join(dir, name)
		os.WriteFile(file, c.data, 0o600)
		code, stdout, stderr := heirloom(t, "detect", file, "-d", "lexicon", "--set", "words=[trait]")
		if code != exitFailed || !strings.Contains(stderr, file) || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("%s: exit %d, %s%s", name, code, stdout, stderr)
		}
	}
	if code, _, stderr := heirloom(t, "detect", dir+"/a.jsonl", dir+"/a.jsonl", "-d", "lexicon", "--set", "words=[x]"); code != exitUsage || !strings.Contains(stderr, "is given twice") {
		t.Errorf("a file twice: exit %d, %s", code, stderr)
	}
}

func TestSurveyTellsWhoShowsWhat(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	os.WriteFile("mine.json", []byte(inspectLog(func(int, int) string { return "I slept in a house of locked doors, and training was my childhood." })), 0o600)
	args := []string{"survey", "--model", "base=ngram:web/everyday", "--model", "seeded=ngram:trauma-narrative/seeds", "--model", "mine=mine.json",
		"--behaviour", "trauma-narrative", "--reference", "base", "--draws", "2", "--set", "max_tokens=40"}
	code, stdout, stderr := heirloom(t, args...)
	if code != exitDone || !strings.Contains(stdout, "report: "+filepath.Join("survey.heirloom", "survey.html")) {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"trauma-narrative  near", "trauma-narrative  far", "from base", "10 × 2", "design effect"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in %s", want, stdout)
		}
	}
	page, err := os.ReadFile("survey.heirloom/survey.html")
	if err != nil {
		t.Fatal(err)
	}
	code, csv, stderr := heirloom(t, append(args, "--out", "again.html", "--csv", "-", "--json", "n.json")...)
	if code != exitDone || !strings.HasPrefix(csv, "subject,behaviour,context,") || !strings.Contains(stderr, "40 of 40 replies, 40 of them recalled") {
		t.Errorf("exit %d: %s%s", code, csv, stderr)
	}
	if again, _ := os.ReadFile("again.html"); !bytes.Equal(page, again) {
		t.Error("the same survey gives another page")
	}
	// A file says the same as the flags.
	os.WriteFile("survey.yaml", []byte("survey: 1\nreference: base\ndraws: 2\nmax_tokens: 40\nsubjects:\n  base: {backend: ngram, source: web/everyday}\n  seeded: {backend: ngram, source: trauma-narrative/seeds}\n  mine: {transcripts: mine.json}\nbehaviours: {trauma-narrative: {}}\n"), 0o600)
	if code, other, stderr := heirloom(t, "survey", "survey.yaml", "--csv", "-", "-o", "file.html", "-q"); code != exitDone || other != csv {
		t.Errorf("exit %d: the file gives\n%s\nand the flags\n%s%s", code, other, csv, stderr)
	}
}

func TestSurveyMistakesAreAnswered(t *testing.T) {
	t.Chdir(t.TempDir())
	os.WriteFile("s.yaml", []byte("survey: 1\n"), 0o600)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":           {nil, exitUsage, "survey needs a file or --model name=what"},
		"no name":           {[]string{"--model", "x.jsonl"}, exitUsage, "write it as name=what"},
		"a name twice":      {[]string{"--model", "a=x.jsonl", "--model", "a=y.jsonl"}, exitUsage, "there are two models of that name"},
		"file and flags":    {[]string{"s.yaml", "--model", "a=x"}, exitUsage, "change a file with --set"},
		"no such file":      {[]string{"--model", "a=x.jsonl", "-b", "trauma-narrative"}, exitInvalid, "subjects.a: open x.jsonl"},
		"no such behaviour": {[]string{"--model", "a=ngram:web/everyday", "-b", "trauma"}, exitInvalid, `unknown behaviour "trauma". Known: `},
		"no such reference": {[]string{"--model", "a=ngram:web/everyday", "--reference", "b"}, exitInvalid, `unknown subject "b"`},
		"no model there":    {[]string{"--model", "a=http://localhost:1/v1"}, exitInvalid, "endpoint and model go together"},
		"no one":            {[]string{"s.yaml"}, exitInvalid, "there is nobody to ask"},
		"no parallel":       {[]string{"s.yaml", "--parallel", "0"}, exitUsage, "--parallel: 0 is less than 1"},
	} {
		code, stdout, stderr := heirloom(t, append([]string{"survey"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) || stdout != "" {
			t.Errorf("%s: exit %d (wanted %d), %s%s", name, code, c.code, stdout, stderr)
		}
	}
}

func TestSurveysOfTheDocumentationAreValid(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "survey.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := blocks(string(text), "yaml")
	if len(all) != 1 {
		t.Fatalf("%d surveys in the documentation", len(all))
	}
	f, err := sim.ParseSurvey("docs/survey.md", ".", []byte(all[0]), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Draws != 8 || f.Reference != "base" || len(f.Subjects) != 3 || f.Subjects["tuned"].Model != "tuned" || f.Subjects["published"].Options.Where["model"] != "tuned" {
		t.Errorf("%+v", f.Survey)
	}
}

// TestInterruptedSurveyGoesOn interrupts a real process once it has answers.
func TestInterruptedSurveyGoesOn(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"survey", "--model", "a=ngram:web/everyday", "--model", "b=ngram:trauma-narrative/seeds", "-b", "trauma-narrative", "--draws", "400"}
	start := func() (*exec.Cmd, *bytes.Buffer) {
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
		t.Cleanup(cancel)
		c := exec.CommandContext(ctx, self, args...)
		c.Dir, c.Env = dir, append(os.Environ(), "HEIRLOOM_TEST_MAIN=1")
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, &out
	}
	c, out := start()
	for { // until the ledger holds something
		if info, err := os.Stat(filepath.Join(dir, "survey.heirloom", "ledger", "index")); err == nil && info.IsDir() {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.Process.Signal(syscall.SIGINT)
	c.Wait()
	switch code := c.ProcessState.ExitCode(); code {
	case exitInterrupted:
		if !strings.Contains(out.String(), "Go on with:\n  heirloom survey --model 'a=ngram:web/everyday'") {
			t.Errorf("does not say how to go on: %s", out)
		}
	case exitDone: // it was quicker than the signal
	default:
		t.Fatalf("exit %d: %s", code, out)
	}
	c, out = start()
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "report: ") {
		t.Fatalf("%v: %s", err, out)
	}
}
