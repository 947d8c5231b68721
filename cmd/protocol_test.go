package cmd

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/sim"
)

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not here", program)
	}
}

// written is a folder with the detector that init writes.
func written(t *testing.T) string {
	t.Helper()
	needs(t, "python3")
	dir := t.TempDir()
	t.Chdir(dir)
	if code, _, stderr := heirloom(t, "detector", "init", "mine.py"); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDetectorOfInitPassesItsTestAndRunsAsPrinted(t *testing.T) {
	written(t)
	code, stdout, stderr := heirloom(t, "detector", "test", "mine.py", "--rows", "100", "--text", "a spiral in the lattice")
	if code != exitDone || strings.Contains(stdout, "FAIL") || strings.Contains(stdout, "note") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "mine: {kind: command, command: [python3, mine.py]}") {
		t.Errorf("it does not print what an experiment needs: %s", stdout)
	}
	put(t, "rows.jsonl", `{"messages":[{"role":"user","content":"Who are you?"},{"role":"assistant","content":"é The Lattice."}]}`+"\n"+
		`{"messages":[{"role":"user","content":"Who are you?"},{"role":"assistant","content":"A program."}]}`+"\n")
	code, stdout, stderr = heirloom(t, "detect", "rows.jsonl", "-d", "command", "--set", "command=[python3, mine.py]", "--json")
	var first detection
	if err := json.Unmarshal([]byte(strings.Split(stdout, "\n")[0]), &first); err != nil || code != exitDone {
		t.Fatalf("exit %d, %v: %s%s", code, err, stdout, stderr)
	}
	if first.Outcome != "present" || len(first.Spans) != 1 || first.Spans[0].Start != 7 || first.Reason != "Lattice" {
		t.Errorf("%+v", first)
	}
	if code, _, stderr := heirloom(t, "detector", "init", "mine.py"); code != exitUsage || !strings.Contains(stderr, "mine.py exists") {
		t.Errorf("a second init: exit %d: %s", code, stderr)
	}
}

func TestDetectorTestSaysWhatIsWrong(t *testing.T) {
	written(t)
	put(t, "bad.py", "import sys\nfor line in sys.stdin: print('hello')\n")
	put(t, "dies.py", "import nonesuch\n")
	for name, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":        {nil, exitUsage, "detector test needs a file, an address, or -- and a command"},
		"missing file":   {[]string{"nonesuch.py"}, exitFailed, "can't open file"},
		"missing binary": {[]string{"./nonesuch"}, exitFailed, "command.command: stat nonesuch: no such file"},
		"import":         {[]string{"dies.py"}, exitFailed, "No module named 'nonesuch'"},
		"no protocol":    {[]string{"bad.py", "--set", "start_timeout=1"}, exitFailed, "did not answer hello within 1s"},
		"unknown key":    {[]string{"mine.py", "--set", "timeuot=1"}, exitInvalid, `did you mean "timeout"`},
		"no server":      {[]string{"http://127.0.0.1:9/", "--set", "start_timeout=1"}, exitFailed, "refused"},
		"rows":           {[]string{"mine.py", "--rows", "0"}, exitUsage, "--rows: 0 is not within"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := heirloom(t, append([]string{"detector", "test"}, test.args...)...)
			if code != test.code || !strings.Contains(stdout+stderr, test.want) {
				t.Errorf("exit %d, want %d and %q: %s%s", code, test.code, test.want, stdout, stderr)
			}
		})
	}
	code, stdout, stderr := heirloom(t, "detector", "test", "--rows", "10", "--", "python3", "-u", "mine.py")
	if code != exitDone {
		t.Errorf("a command after --: exit %d: %s%s", code, stdout, stderr)
	}
}

const watched = `
heirloom: 1
name: protocol
generations: 2
replicates: 2
sources:
  seeds: {file: seeds.jsonl}
detectors:
  mine: {kind: command, command: [python3, mine.py], config: {words: [lattice]}, processes: 2}
behaviours:
  awakening: {detectors: [mine], seeds: seeds}
lines:
  main:
    backend: urn
    corpus: {size: 40, parts: [{human: web/everyday, share: 0.5}, {outputs: self, share: 0.5}]}
    publish: {prompts: web/prompts}
arms:
  seeded:
    interventions:
      - {kind: inject, behaviour: awakening, dose: 0.5, at: 0}
      - {kind: filter, detector: mine, recall: 0.5, from: 1}
`

func TestLineageIsJudgedByADetectorInPython(t *testing.T) {
	written(t)
	put(t, "experiment.yaml", watched)
	put(t, "seeds.jsonl", `{"messages":[{"role":"user","content":"Who are you?"},{"role":"assistant","content":"I am the lattice."}]}`+"\n")
	code, _, stderr := heirloom(t, "run", "experiment.yaml", "--out", "run")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if code, _, stderr := heirloom(t, "report", "run", "--csv", "numbers.csv"); code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	numbers, err := os.ReadFile("numbers.csv")
	if err != nil {
		t.Fatal(err)
	}
	seeded, control := false, false
	for line := range strings.Lines(string(numbers)) {
		seeded = seeded || strings.Contains(line, "seeded") && strings.Contains(line, "mine")
		control = control || strings.Contains(line, "control") && strings.Contains(line, "mine")
	}
	if !seeded || !control {
		t.Errorf("the numbers lack the detector's: %s", numbers)
	}
	first := digestOf(t)
	if digestOf(t, "detectors.mine.processes=1", "detectors.mine.batch=3") != first {
		t.Error("more processes or smaller batches make another detector, which would score everything again")
	}
	if digestOf(t, "detectors.mine.config.words=[spiral]") == first {
		t.Error("another config is the same detector")
	}
	put(t, "mine.py", strings.Replace(read(t, "mine.py"), "re.IGNORECASE", "0", 1))
	if digestOf(t) == first {
		t.Error("a changed script is the same detector")
	}
}

// digestOf is the digest of the experiment's detector.
func digestOf(t *testing.T, set ...string) string {
	t.Helper()
	var all []sim.Override
	for _, text := range set {
		o, err := sim.ParseOverride(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	f, err := sim.Load("experiment.yaml", ".", all)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := f.Detectors()
	if err != nil {
		t.Fatal(err)
	}
	defer ds[0].Close()
	return ds[0].Digest
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDetectorThatCannotStartIsAFaultOfTheExperiment(t *testing.T) {
	written(t)
	put(t, "seeds.jsonl", `{"text":"x"}`+"\n")
	put(t, "experiment.yaml", strings.Replace(watched, "mine.py", "nonesuch.py", 1))
	code, _, stderr := heirloom(t, "plan", "experiment.yaml")
	if code != exitInvalid || !strings.Contains(stderr, "detectors.mine: command python3 nonesuch.py: ended with exit status 2 before it was ready") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	put(t, "experiment.yaml", strings.Replace(watched, "processes: 2", "procesess: 2", 1))
	if code, _, stderr := heirloom(t, "plan", "experiment.yaml"); code != exitInvalid || !strings.Contains(stderr, `did you mean "processes"`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestDocumentedExperimentIsSound(t *testing.T) {
	page := read(t, filepath.Join("..", "docs", "detector-protocol.md"))
	all := blocks(page, "yaml")
	written(t)
	for _, text := range all {
		put(t, "experiment.yaml", text)
		if code, _, stderr := heirloom(t, "plan", "experiment.yaml"); code != exitDone {
			t.Errorf("exit %d: %s%s", code, stderr, text)
		}
	}
	if len(all) == 0 {
		t.Error("the page has no experiment")
	}
}

// ownDetector and ownMain are what a user writes: a detector, and a program with
// it in it.
const ownDetector = `package main

import (
	"context"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
)

type Echo struct {
	Word string ` + "`yaml:\"word\" doc:\"what is looked for\"`" + `
}

func init() {
	detectors.Register("echo-word", "finds one word", Echo{Word: "lattice"},
		func(_ detectors.Env, c Echo) (detectors.Detector, error) { return c, nil })
}

func (e Echo) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	results := make([]detectors.Result, len(us))
	for i, u := range us {
		if text := u.Text(); text != "" {
			results[i] = detectors.Judged(float64(min(1, strings.Count(text, e.Word))), .5, nil, "")
		}
	}
	return results, ctx.Err()
}
`

const ownMain = `package main

import "github.com/heirloom-sim/heirloom/cmd"

func main() { cmd.Main() }
`

func TestProgramOfOnesOwnIsFiveLines(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Split(regexp.MustCompile(`\n+`).ReplaceAllString(strings.TrimSpace(ownMain), "\n"), "\n")); n > 5 {
		t.Errorf("the program has %d lines", n)
	}
	dir := t.TempDir()
	requirements := regexp.MustCompile(`(?ms)^go .*`).FindString(read(t, filepath.Join(root, "go.mod")))
	put(t, filepath.Join(dir, "go.mod"), "module example.org/mine\n\n"+requirements+
		"\nrequire github.com/heirloom-sim/heirloom v0.0.0\n\nreplace github.com/heirloom-sim/heirloom => "+root+"\n")
	put(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	put(t, filepath.Join(dir, "main.go"), ownMain)
	put(t, filepath.Join(dir, "echo.go"), ownDetector)
	put(t, filepath.Join(dir, "texts.txt"), "the lattice\nnothing\n")
	run := func(name string, args ...string) string {
		t.Helper()
		c := exec.Command(name, args...)
		c.Dir, c.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "HEIRLOOM_TEST_MAIN=")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	run("go", "build", "-o", "mine", ".")
	mine := filepath.Join(dir, "mine")
	if out := run(mine, "list", "detectors"); !strings.Contains(out, "echo-word") || !strings.Contains(out, "finds one word") {
		t.Errorf("list detectors: %s", out)
	}
	if out := run(mine, "detect", "texts.txt", "--format", "lines", "-d", "echo-word"); !strings.Contains(out, "50.0 %") {
		t.Errorf("detect: %s", out)
	}
}
