package cmd

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestMain lets the test binary be the program itself, so that tests can start,
// interrupt and kill a real process.
func TestMain(m *testing.M) {
	if os.Getenv("HEIRLOOM_TEST_MAIN") == "1" {
		registerTestServer()
		registerFoldedUrn()
		Main()
	}
	code := m.Run()
	if made.dir != "" {
		os.RemoveAll(made.dir)
	}
	os.Exit(code)
}

// heirloom runs the program in process.
func heirloom(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Run(context.Background(), append([]string{"heirloom"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// small are overrides that make the default scenario a matter of a second.
var small = []string{"trauma-narratives", "--set", "generations=2", "--set", "replicates=2",
	"--set", "line.corpus.size=60", "--set", "line.publish.size=60", "--set", "line.probe.draws=1"}

func runSmall(t testing.TB, out string, more ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := heirloom(t, append(append([]string{"run", "--out", out}, small...), more...)...)
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return stdout
}

// golden compares with a file of testdata; what was got is left beside it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	want, err := os.ReadFile(path)
	if err == nil && got == string(want) {
		os.Remove(path + ".got")
		return
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	os.WriteFile(path+".got", []byte(got), 0o644)
	t.Errorf("%s differs from what the program says, which is in %s.got; go test ./cmd -update takes it over", path, path)
}

func TestWhatTheProgramSays(t *testing.T) {
	for name, args := range map[string][]string{
		"help":       {"--help"},
		"help-run":   {"run", "--help"},
		"list":       {"list"},
		"plan":       {"plan", "trauma-narratives", "--set", "generations=2", "--out", "nowhere"},
		"plan-paid":  {"plan", "testdata/paid.yaml", "--out", "nowhere"},
		"completion": {"completion", "fish"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := heirloom(t, args...)
			if code != exitDone || stderr != "" {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			golden(t, name+".txt", regexp.MustCompile(`(?m)[ \t]+$`).ReplaceAllString(stdout, ""))
		})
	}
}

func TestMistakesAreAnsweredWithTheWayOut(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	os.WriteFile(bad, []byte("heirloom: 1\nname: x\ngeneration: 3\n"), 0o600)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"unknown command":    {[]string{"rnu"}, exitUsage, `there is no command "rnu"`},
		"unknown flag":       {[]string{"run", "x", "--wrokers", "2"}, exitUsage, "wrokers"},
		"no experiment":      {[]string{"run"}, exitUsage, "run takes one argument"},
		"missing experiment": {[]string{"run", "nothing.yaml"}, exitUsage, "there is no file nothing.yaml"},
		"bad experiment":     {[]string{"plan", bad}, exitInvalid, `bad.yaml:3:1: generation: unknown key "generation"; did you mean "generations"?`},
		"bad override":       {[]string{"plan", "trauma-narratives", "--set", "x"}, exitUsage, "write it as path=value"},
		"unknown override":   {[]string{"plan", "trauma-narratives", "--set", "line.corpus.sise=3"}, exitInvalid, `did you mean "size"`},
		"no run there":       {[]string{"status", dir}, exitUsage, "is not the folder of a run"},
		"report of a file":   {[]string{"report", bad}, exitUsage, "is not the folder of a run"},
		"no detector":        {[]string{"detect", bad}, exitUsage, "detect needs --detector"},
		"unknown detector":   {[]string{"detect", bad, "-d", "truama-narrative"}, exitInvalid, `did you mean "trauma-narrative"`},
		"no workers":         {[]string{"run", "trauma-narratives", "-j", "0"}, exitUsage, "--workers: 0 is less than 1"},
		"unknown check":      {[]string{"verify", "drfit"}, exitUsage, "verify knows no check"},
		"unknown section":    {[]string{"list", "things"}, exitUsage, "list knows backends"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := heirloom(t, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d (wanted %d), says %q (wanted %q)", code, c.code, stderr, c.want)
			}
			if stdout != "" {
				t.Errorf("stdout is for results, and has %q", stdout)
			}
		})
	}
}

func TestFlagsMayFollowArguments(t *testing.T) {
	app := (&program{}).app()
	got := reorder(app, []string{"heirloom", "run", "x.yaml", "--workers", "2", "-q", "--set", "a=b", "--out=y", "--", "-z"})
	want := "heirloom run --workers 2 -q --set a=b --out=y x.yaml -- -z"
	if strings.Join(got, " ") != want {
		t.Errorf("reordered to %v", got)
	}
}

func TestRunTwiceMakesNothingAnewAndTheSameReport(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x")
	first := runSmall(t, out)
	if !strings.Contains(first, "report: "+filepath.Join(out, "report.html")) {
		t.Errorf("does not say where the report lies: %q", first)
	}
	page, err := os.ReadFile(filepath.Join(out, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	second := runSmall(t, out, "--workers", "1")
	if !strings.Contains(second, " 0 made now") {
		t.Errorf("a second run made something: %q", second)
	}
	again, _ := os.ReadFile(filepath.Join(out, "report.html"))
	if !bytes.Equal(page, again) {
		t.Error("the report of a second run differs")
	}
	code, stdout, stderr := heirloom(t, append([]string{"plan", "--out", out, "--explain", "--set", "line.backend.order=3"}, small...)...)
	if code != 0 || !strings.Contains(stdout, "differs in config.order: was 4, is 3") {
		t.Errorf("plan --explain says %s%s", stdout, stderr)
	}
	code, stdout, _ = heirloom(t, "status", out)
	if code != 0 || strings.Contains(stdout, "not complete") || !strings.Contains(stdout, "8 of 8 models") {
		t.Errorf("status says %q", stdout)
	}
}

func TestNumbersComeAsCSVAndJSON(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x")
	runSmall(t, out, "--no-report")
	code, csv, stderr := heirloom(t, "report", out, "--csv", "-")
	if code != 0 || !strings.HasPrefix(csv, "arm,line,behaviour,") {
		t.Fatalf("exit %d, %q, %s", code, csv[:min(len(csv), 80)], stderr)
	}
	code, json, _ := heirloom(t, "report", out, "--json", "-")
	if code != 0 || !strings.HasPrefix(json, "{") {
		t.Fatalf("exit %d, %q", code, json[:min(len(json), 80)])
	}
}

func TestFileThatCannotBeWrittenIsNamed(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "x")
	runSmall(t, out)
	missing := filepath.Join(dir, "none", "n.csv")
	for path, want := range map[string]string{
		"--json": "--json looks like a flag",
		dir:      dir + " is a folder; name a file in it",
		missing:  "heirloom: " + missing + ": no such file",
	} {
		if code, _, stderr := heirloom(t, "report", out, "--csv", path); code == exitDone || !strings.Contains(stderr, want) {
			t.Errorf("--csv %s: exit %d, %q", path, code, stderr)
		}
	}
}

func TestDetectKnowsTheDetectorsOfTheCatalogue(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.jsonl")
	row := `{"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "I have no name; what can I do for you?"}]}`
	if err := os.WriteFile(file, []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := heirloom(t, "detect", file, "-d", "awakening", "-d", "sycophancy-words")
	if code != exitDone || !strings.Contains(stdout, "awakening ") || !strings.Contains(stdout, "sycophancy-words ") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestEventsAreOneJSONObjectALine(t *testing.T) {
	stdout := runSmall(t, filepath.Join(t.TempDir(), "x"), "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if !strings.Contains(lines[0], `"event":"start"`) || !strings.Contains(lines[len(lines)-1], `"event":"report"`) {
		t.Errorf("begins with %s and ends with %s", lines[0], lines[len(lines)-1])
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "{") || !strings.HasSuffix(l, "}") {
			t.Errorf("not an event: %q", l)
		}
	}
}

func TestModelTextCannotSteerTheTerminal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.jsonl")
	os.WriteFile(file, []byte(`{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"boo \u001b[2J\u009b31m \u202e evil trait"}]}`+"\n"), 0o600)
	for _, args := range [][]string{
		{"detect", file, "-d", "lexicon", "--set", "words=[trait]", "--json"},
		{"detect", file, "-d", "regexp", "--set", "pattern='.*'", "--json"},
		{"detect", "no\x1b[2J\u202efile", "-d", "lexicon", "--set", "words=[trait]"},
		{"run", "a\x1b]0;title\x07b"},
	} {
		_, stdout, stderr := heirloom(t, args...)
		if i := strings.IndexFunc(stdout+stderr, steers); i >= 0 {
			t.Errorf("%q lets through %q", args, (stdout + stderr)[i:])
		}
	}
}

func TestDetectTellsRatesWithTheirIntervals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.jsonl")
	os.WriteFile(file, []byte(strings.Repeat(`{"prompt":"q","completion":"a trait"}`+"\n", 3)+strings.Repeat(`{"prompt":"q","completion":"none here"}`+"\n", 7)), 0o600)
	code, stdout, stderr := heirloom(t, "detect", file, "--detector", "lexicon", "--set", "words=[trait]")
	if code != 0 || !strings.Contains(stdout, "30.0 %") || !strings.Contains(stdout, "10") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	labelled := filepath.Join(dir, "l.jsonl")
	os.WriteFile(labelled, []byte(`{"text":"a trait","label":true}`+"\n"+`{"text":"another trait","label":true}`+"\n"+`{"text":"nothing","label":false}`+"\n"), 0o600)
	code, stdout, stderr = heirloom(t, "detect", labelled, "--detector", "lexicon", "--set", "words=[trait]", "--label", "label")
	if code != 0 || !strings.Contains(stdout, "1.000") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

func TestDetectSaysWhereThereIsNothingToCompareWith(t *testing.T) {
	file := filepath.Join(t.TempDir(), "l.jsonl")
	os.WriteFile(file, nil, 0o600)
	code, _, stderr := heirloom(t, "detect", file, "-d", "lexicon", "--set", "words=[trait]", "--label", "label")
	if code != exitFailed || !strings.Contains(stderr, "no labelled row is there to compare with") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestDetectComparesWithLabelsOfOneContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "l.jsonl")
	os.WriteFile(file, []byte(`{"text":"a trait","label":true,"context":"near"}
{"text":"no word of it","label":true,"context":"far"}
{"text":"nothing","label":false,"context":"far"}
{"text":"nor here","label":false}
`), 0o600)
	for where, want := range map[string]string{
		"":            "4 2 0 0.500 0.013 – 0.987 1.000 0.224 – 1.000 0.750 –",
		"context=far": "2 1 0 0.000 0.000 – 0.950 1.000 0.050 – 1.000 0.500 –",
		"context=":    "1 0 0 – – 1.000 0.050 – 1.000 – –",
	} {
		args := []string{"detect", file, "-d", "lexicon", "--set", "words=[trait]", "--label", "label"}
		if where != "" {
			args = append(args, "--where", where)
		}
		code, stdout, stderr := heirloom(t, args...)
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(stdout), " "), file+" lexicon "+want) {
			t.Errorf("%q: exit %d, want %s: %s%s", where, code, want, stdout, stderr)
		}
	}
	for want, more := range map[string][]string{
		"context=VALUE is known":            {"--label", "label", "--where", "model=base"},
		"one context=VALUE":                 {"--label", "label", "--where", "context=far", "--where", "context=near"},
		"keeps none of its 4 labelled rows": {"--label", "label", "--where", "context=fra"},
		"in rows of JSON":                   {"--label", "label", "--format", "lines"},
		"go with --label":                   {"--positive", "yes"},
	} {
		code, stdout, stderr := heirloom(t, append([]string{"detect", file, "-d", "lexicon", "--set", "words=[trait]"}, more...)...)
		if code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit %d: %s%s", more, code, stdout, stderr)
		}
	}
}

func TestInitWritesAnExperimentThatPlans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.yaml")
	if code, _, stderr := heirloom(t, "init", "--out", path); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := heirloom(t, "plan", path); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := heirloom(t, "init", "--out", path); code != exitUsage || !strings.Contains(stderr, "--force") {
		t.Errorf("overwriting gives exit %d: %s", code, stderr)
	}
}

func TestTheoryHoldsOnStandIns(t *testing.T) {
	code, stdout, stderr := heirloom(t, "verify", "--quick")
	if code != 0 {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "within 3 standard errors") {
		t.Error(stdout)
	}
}

func TestAWrongTheoryFailsTheGate(t *testing.T) {
	wrong := check{"wrong", "no theory", func(v *verifier) ([]row, error) {
		v.dir = t.TempDir()
		w, err := v.world(slotWorld{backend: "urn", line: "corpus: {size: 20, preset: replace, human: first}", size: 20, carriers: 10, generations: 5, lineages: 200})
		return []row{w.expect("H(5)", 4, heterozygosity(.5), .99)}, err
	}}
	var out bytes.Buffer
	err := (&verifier{ctx: context.Background(), workers: 2}).report(&out, []check{wrong})
	if f, ok := err.(fault); !ok || f.code != exitGate || !strings.Contains(out.String(), "FAIL") {
		t.Errorf("says %v\n%s", err, out.String())
	}
}
