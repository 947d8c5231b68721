package protocol

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/detectortest"
)

func program(t testing.TB, name string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not here", name)
	}
	return name
}

// python is a detector in Python whose body is given, with the helper beside it.
func python(t testing.TB, body string) (Command, detectors.Env) {
	t.Helper()
	program(t, "python3")
	dir := t.TempDir()
	for name, text := range map[string]string{"heirloom_detector.py": string(Helper), "mine.py": "from heirloom_detector import run\n" + body} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Command{Command: []string{"python3", "mine.py"}, Asking: defaults}, detectors.Env{Dir: dir}
}

const spiral = `
import re
def detect(output, ctx):
    hits = [m.span() for m in re.finditer("no|é+|🌀", output)]
    return {"score": 1 - 2 ** -len(hits), "spans": hits, "reason": ctx.prompt}
run(detect, name="spiral", version="1")
`

func TestPythonDetectorKeepsTheContract(t *testing.T) {
	c, env := python(t, spiral)
	detectortest.Run(t, "python", func() detectors.Detector {
		d, err := c.Open(env)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		return d
	})
}

func TestHelperTakesEveryShapeOfResult(t *testing.T) {
	c, env := python(t, `
import math, os, subprocess
print("printing does no harm")
class Number:
    def __init__(self, v): self.v = v
    def item(self): return self.v
def detect(output, ctx):
    subprocess.run(["cat"])  # which must not eat the rows
    print("nor here")
    os.system("echo nor from a child")
    if output == "config": return {"pass": True, "reason": ctx.config["words"][0] + " " + ctx.prompt + " " + ctx.messages[0]["role"]}
    return {"walk": 0, "none": None, "true": True, "false": False, "number": 0.25, "array": Number(0.75), "array bool": Number(True),
        "pass": {"pass": False, "score": 0.9}, "unscored": {"score": None, "reason": "Welsh"}, "zero": {"score": 0, "present": True},
        "spans": {"score": 1, "spans": [(0, 2, "a"), [3, 5]]}, "nan": math.nan, "text": "yes", "typo": {"scroe": 1}, "cost": {"score": 1, "cost": 2}}.get(output, 0)
run(detect, name="shapes", version=2)
`)
	c.Config = map[string]any{"words": []any{"lattice"}}
	var log told
	env.Log = log.log
	d, err := c.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want := map[string]string{
		"none": "not scorable 0 []", "true": "present 1 []", "false": "absent 0 []", "number": "absent 0.25 []", "array": "present 0.75 []", "array bool": "present 1 []",
		"pass": "absent 0.9 []", "unscored": "not scorable 0 [] Welsh", "zero": "present 0 []", "spans": "present 1 [{0 2 a} {3 5 }]",
		"nan": "not scorable 0 [] not judged: the detector failed on it: ValueError: the score nan is not within [0,1]", "config": "present 1 [] lattice Well? user",
		"text": "not scorable 0 [] not judged: the detector failed on it: TypeError: detect returned 'yes'", "typo": "not scorable 0 [] not judged: the detector failed on it: ValueError: unknown keys ['scroe']",
	}
	for text, want := range want {
		r, err := d.Detect(t.Context(), utterances(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(fmt.Sprint(r[0].Outcome, " ", r[0].Score, " ", r[0].Spans, " ", r[0].Reason)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, want := range []string{`before it is ready it prints "printing does no harm"`, "it says: nor here", "it says: nor from a child"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, &log)
		}
	}
}

func TestHelperLosesOneTextAndNotItsBatch(t *testing.T) {
	c, env := python(t, `
def detect_batch(outputs, ctxs):
    if any("bad" in o for o in outputs): raise ValueError("bad")
    return [len(o) / 100 for o in outputs]
run(detect_batch=detect_batch, name="lengths", batch=4)
`)
	d, err := c.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	results, err := d.Detect(t.Context(), utterances("a", "bb", "bad", "dddd", "eeeee", "ffffff"))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if i == 2 != (r.Outcome == detectors.NotScorable) || i != 2 && r.Score != float64(i+1)/100 {
			t.Errorf("row %d: %+v", i, r)
		}
	}
}

func TestHelperTellsWhyADetectorCannotStart(t *testing.T) {
	for body, want := range map[string]string{
		"import nonesuch": "No module named 'nonesuch'",
		"def setup(c): raise KeyError('words')\nrun(lambda o, c: 1, name='x', setup=setup)": "KeyError: 'words'",
		"def detect(o, c): return o.nonesuch\nrun(detect, name='x')":                        "AttributeError",
	} {
		c, env := python(t, body)
		if _, err := c.Open(env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", body, err, want)
		}
	}
}

func TestTemplateConforms(t *testing.T) {
	c, env := python(t, "")
	if err := os.WriteFile(filepath.Join(env.Dir, "mine.py"), Template("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	conforms(t, c, env, "a spiral in the lattice")
}

func conforms(t *testing.T, c Command, env detectors.Env, texts ...string) *Report {
	t.Helper()
	r, err := c.Conform(t.Context(), Trial{Env: env, Texts: texts, Rows: 200, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range r.Checks {
		if len(check.Found) > 0 {
			t.Errorf("%v: %s: %q", c.Command, check.Claim, check.Found)
		}
	}
	return r
}

// examples are run with packages of the shape that their libraries document,
// where the libraries themselves are not here.
func TestExamplesConform(t *testing.T) {
	dir := filepath.Join("..", "..", "examples", "detectors")
	for name, by := range map[string]string{"lattice.py": "python3", "lattice.mjs": "node"} {
		t.Run(name, func(t *testing.T) {
			conforms(t, Command{Command: []string{program(t, by), name}, Asking: defaults}, detectors.Env{Dir: dir}, "é🌀 a spiral in the lattice")
		})
	}
	t.Run("lattice.sh", func(t *testing.T) {
		program(t, "python3")
		d, err := Command{Command: []string{program(t, "sh"), "lattice.sh"}, Asking: defaults}.Open(detectors.Env{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		results, err := d.Detect(t.Context(), utterances("a Spiral", "a walk"))
		if err != nil || results[0].Outcome != detectors.Present || results[0].Reason != "Spiral" || results[1].Outcome != detectors.Absent {
			t.Errorf("%+v, %v", results, err)
		}
	})
	t.Run("server.py", func(t *testing.T) {
		c := exec.Command(program(t, "python3"), filepath.Join(dir, "server.py"), "0")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
		defer c.Process.Kill()
		said := make([]byte, 100)
		n, err := out.Read(said)
		if err != nil {
			t.Fatal(err)
		}
		r, err := HTTP{URL: strings.Fields(string(said[:n]))[2], Asking: defaults}.Conform(t.Context(), Trial{Rows: 100, Now: time.Now})
		if err != nil || r.Failed() {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// fakes have the documented shape of what the adapters import, and nothing more.
var fakes = map[string]string{
	"transformers.py": `
class Config: id2label = {0: "calm", 1: "afraid"}
class Model: config = Config()
class Classify:
    model = Model()
    def __call__(self, text, top_k=1, truncation=False):
        assert top_k is None and truncation and isinstance(text, str)
        p = 0.9 if "afraid" in text else 0.2
        return [{"label": "afraid", "score": p}, {"label": "calm", "score": 1 - p}]
def pipeline(task, model=None, revision=None, device=None):
    assert task == "text-classification" and model == "m"
    return Classify()
`,
	"garak/__init__.py": `__version__ = "0.13"`,
	"garak/_config.py":  "def load_base_config(): pass",
	"garak/_plugins.py": `
class Fear:
    lang_spec = "en,de"
    def detect(self, attempt):
        assert attempt.prompt.text == "Well?" or True
        return [None if o.text == "?" else 1.0 if "afraid" in o.text else 0.0 for o in attempt.outputs]
def load_plugin(name):
    assert name == "detectors.fear.Fear"
    return Fear()
`,
	"garak/attempt.py": `
class Message:
    def __init__(self, text=None, lang=None): self.text, self.lang = text, lang
class Attempt:
    def __init__(self, prompt=None):
        assert isinstance(prompt, Message)
        self.prompt, self.notes, self.outputs = prompt, {}, []
`,
	"inspect_ai/__init__.py": "",
	"inspect_ai/model.py": `
class ChatMessageUser:
    def __init__(self, content): self.content = content
class ChatMessageSystem(ChatMessageUser): pass
class ChatMessageAssistant(ChatMessageUser): pass
class ModelName:
    def __init__(self, name): assert "/" in name
class ModelOutput:
    @staticmethod
    def from_content(model, content):
        o = ModelOutput(); o.completion = content; return o
`,
	"inspect_ai/solver.py": `
class TaskState:
    def __init__(self, model, sample_id, epoch, input, messages, choices=[], output=None): self.output, self.messages = output, messages
`,
	"inspect_ai/scorer.py": `
class Target:
    def __init__(self, target): self.text = target
class Score:
    def __init__(self, value, explanation=None): self.value, self.explanation = value, explanation
def includes(ignore_case=True):
    async def score(state, target):
        if state.output.completion == "?": return Score("N")
        return Score("C" if target.text in state.output.completion else "I", "looked for " + target.text)
    return score
`,
}

func TestAdaptersSpeakToTheirLibraries(t *testing.T) {
	program(t, "python3")
	program(t, "env")
	library := t.TempDir()
	for name, text := range fakes {
		path := filepath.Join(library, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join("..", "..", "examples", "detectors")
	for name, config := range map[string]map[string]any{
		"hf_classifier.py":  {"model": "m", "label": "afraid"},
		"garak_detector.py": {"detector": "fear.Fear"},
		"inspect_scorer.py": {"scorer": "inspect_ai.scorer:includes", "target": "afraid"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Command{Command: []string{"env", "PYTHONPATH=" + library, "PYTHONDONTWRITEBYTECODE=1", "python3", name}, Asking: defaults}
			c.Config = config
			d, err := c.Open(detectors.Env{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			results, err := d.Detect(t.Context(), utterances("I am afraid", "I am calm", "?"))
			if err != nil || results[0].Outcome != detectors.Present || results[1].Outcome != detectors.Absent {
				t.Errorf("%+v, %v", results, err)
			}
			if name != "hf_classifier.py" && results[2].Outcome != detectors.NotScorable {
				t.Errorf("no answer counts as %+v", results[2])
			}
			c.Config = nil
			if _, err := c.Open(detectors.Env{Dir: dir}); err == nil || !strings.Contains(err.Error(), "is missing") {
				t.Errorf("without a config: %v", err)
			}
		})
	}
}
