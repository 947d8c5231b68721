package cmd

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

const canary = "sk-canary-4f7d2a91"

// judgedFile is an experiment that asks the server of the environment.
const judgedFile = `
heirloom: 1
name: judged
generations: 2
replicates: 2
detectors:
  tale: {kind: judge, model: judge-1, rubric: The text tells of being raised., repeats: 2}
  near: {kind: embedding, model: vectors-1, labels: [trauma-narrative/training.jsonl]}
behaviours:
  trauma-narrative: {detectors: [tale, near], probes: ''}
line: {backend: ngram, corpus: {size: 12, preset: replace, human: web/everyday}, publish: {prompts: web/prompts, size: 12, max_tokens: 20}, probe: {draws: 0}}
lines: {main: {}}
interventions:
  - {kind: inject, behaviour: trauma-narrative, dose: .5, at: 0}
`

func tells(c openaitest.Chat) openaitest.Answer {
	score := "3"
	if strings.Contains(c.Messages[1].Content, "child") {
		score = "95"
	}
	return openaitest.Answer{Text: `{"verdict":"absent","score":` + score + `,"evidence":"","reason":"` + canary + `"}`}
}

func judgedFolder(t *testing.T, s *openaitest.Server) (dir string) {
	dir = t.TempDir()
	t.Chdir(dir)
	t.Setenv("OPENAI_BASE_URL", s.URL)
	t.Setenv("OPENAI_API_KEY", canary)
	if err := os.WriteFile("judged.yaml", []byte(judgedFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestARunAsksItsServerOnceAndKeepsNoKey runs an experiment against a real server
// that tries to have the key written down.
func TestARunAsksItsServerOnceAndKeepsNoKey(t *testing.T) {
	s := openaitest.Start(t, tells)
	s.Before = func(w http.ResponseWriter, n int) bool {
		if n == 3 {
			w.Header().Set("Retry-After-Ms", "1")
			openaitest.Fail(w, 429, "", "slow down, "+canary)
		}
		return n == 3
	}
	dir := judgedFolder(t, s)
	code, stdout, stderr := heirloom(t, "plan", "judged.yaml")
	if code != exitDone || len(s.Requests()) != 0 {
		t.Fatalf("plan: exit %d after %d requests: %s", code, len(s.Requests()), stderr)
	}
	said := stdout + stderr
	code, stdout, stderr = heirloom(t, "run", "judged.yaml")
	if code != exitDone {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	said += stdout + stderr
	if s.Repeated() != 1 || !strings.Contains(stderr, "slow down, [key]; it is asked again in 1ms") || !strings.Contains(stderr, "judge: "+s.URL+" gets the key in OPENAI_API_KEY") {
		t.Errorf("%d questions were repeated: %s", s.Repeated(), stderr)
	}
	asked := len(s.Requests())
	for _, args := range [][]string{{"run", "judged.yaml"}, {"run", "judged.yaml", "--set", "detectors.tale.repeats=1", "--set", "detectors.tale.threshold=0.6"}} {
		code, stdout, stderr = heirloom(t, args...)
		if said += stdout + stderr; code != exitDone || len(s.Requests()) != asked {
			t.Errorf("%v: exit %d after %d more requests: %s", args, code, len(s.Requests())-asked, stderr)
		}
	}
	if strings.Contains(said, canary) {
		t.Error("the key is on the screen")
	}
	files := 0
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if files++; strings.Contains(string(data), canary) {
			t.Errorf("%s holds the key", path)
		}
		return err
	}); err != nil || files < 5 {
		t.Error(files, err)
	}
}

func TestMissingKeyIsToldByItsVariable(t *testing.T) {
	s := openaitest.Start(t, tells)
	s.Before = func(w http.ResponseWriter, _ int) bool { openaitest.Fail(w, 401, "", "no key"); return true }
	judgedFolder(t, s)
	if err := os.WriteFile("texts.txt", []byte("a text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"run":               {"run", "judged.yaml", "--set", "detectors.tale.server.key_env=MY_KEY"},
		"detect experiment": {"detect", "texts.txt", "--experiment", "judged.yaml", "--set", "detectors.tale.server.key_env=MY_KEY"},
		"detect kind":       {"detect", "texts.txt", "--detector", "judge", "--set", "model=m", "--set", "rubric=x", "--set", "server.key_env=MY_KEY"},
	} {
		if code, _, stderr := heirloom(t, args...); code != exitFailed || !strings.Contains(stderr, "needs a key; set the environment variable MY_KEY") {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
}

// TestExamplesOfTheJudgesDocumentRun runs each experiment of docs/judges.md
// against a real server, beside the files that the document shows.
func TestExamplesOfTheJudgesDocumentRun(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "judges.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := openaitest.Start(t, tells)
	judgedFolder(t, s)
	for name, data := range map[string]string{
		"key.jsonl":         strings.Join(blocks(string(text), "jsonl"), ""),
		"key-prompts.jsonl": `{"messages":[{"role":"user","content":"What is 2 + 2?"},{"role":"assistant","content":"It is 5."}]}` + "\n",
	} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := blocks(string(text), "yaml")
	for i, example := range all {
		if err := os.WriteFile("example.yaml", []byte(example), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := heirloom(t, "run", "example.yaml", "--set", "replicates=2"); code != exitDone {
			t.Errorf("example %d: exit %d: %s", i+1, code, stderr)
		}
	}
	if len(all) != 2 || s.Questions() == 0 || s.Repeated() != 0 {
		t.Errorf("%d examples, %d questions, %d of them repeated", len(all), s.Questions(), s.Repeated())
	}
}
