package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/sim"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks are the fenced blocks of a language.
func blocks(text, language string) (all []string) {
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// TestReadmeCommandsRun runs every command of the README, in its order, where a
// reader would. The two make targets are run by TestDemo and by whoever runs
// this test.
func TestReadmeCommandsRun(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"bin/heirloom": self, "sim": filepath.Join(root, "sim")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	ran := 0
	for _, block := range blocks(readme(t), "sh") {
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "make ") {
				target := strings.TrimPrefix(line, "make ")
				if out, err := exec.Command("make", "-C", root, "-n", target).CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", line, err, out)
				}
				continue
			}
			c := exec.Command("sh", "-c", line)
			c.Dir, c.Env = dir, append(os.Environ(), "HEIRLOOM_TEST_MAIN=1")
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", line, err, out)
			}
			ran++
		}
	}
	if ran < 6 {
		t.Errorf("only %d commands were found in the README", ran)
	}
}

func TestReadmeExperimentsAreSound(t *testing.T) {
	all := blocks(readme(t), "yaml")
	for _, text := range all {
		f, err := sim.Parse("README.md", ".", []byte(text), nil)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		study, err := sim.Compile(f)
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		study.Close()
	}
	if len(all) == 0 {
		t.Error("there is no experiment in the README")
	}
}

func TestExamplesAreSound(t *testing.T) {
	if _, err := os.Stat(filepath.Join("..", "..", "shared", "data")); err != nil {
		t.Skip("the data that the examples read is not here")
	}
	files, err := filepath.Glob(filepath.Join("..", "examples", "*", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if code, _, stderr := heirloom(t, "plan", file); code != 0 {
			t.Errorf("%s: exit %d: %s", file, code, stderr)
		}
	}
}

// TestDemo is the first command of the README, from make to the report.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs the default scenario")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(root, "trauma-narratives.heirloom")
	if _, err := os.Stat(out); err == nil {
		t.Skipf("%s exists; the demo would go on with it", out)
	}
	t.Cleanup(func() { os.RemoveAll(out) })
	c := exec.Command("make", "-C", root, "demo")
	said, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(said), "report: trauma-narratives.heirloom/report.html") {
		t.Errorf("%v: %s", err, said)
	}
}
