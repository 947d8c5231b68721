package protocol

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "detector-protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentedConversationHappens has the detector of the worked example
// answer what the page says it is sent.
func TestDocumentedConversationHappens(t *testing.T) {
	m := regexp.MustCompile("(?s)```conversation\n(.*?)```").FindStringSubmatch(documentation(t))
	if m == nil {
		t.Fatal("the page has no conversation")
	}
	var sent, back strings.Builder
	for line := range strings.Lines(m[1]) {
		if text, ok := strings.CutPrefix(line, "→ "); ok {
			sent.WriteString(text)
		} else if text, ok := strings.CutPrefix(line, "← "); ok {
			back.WriteString(text)
		} else {
			t.Errorf("line %q goes nowhere", line)
		}
	}
	c := exec.Command(program(t, "python3"), "lattice.py")
	c.Dir = filepath.Join("..", "..", "examples", "detectors")
	c.Stdin = strings.NewReader(sent.String())
	got, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != back.String() {
		t.Errorf("the detector answers\n%sthe page says\n%s", got, back.String())
	}
}

func TestDocumentedDetectorRuns(t *testing.T) {
	m := regexp.MustCompile("(?s)```python\nfrom heirloom_detector import run\n(.*?)```").FindStringSubmatch(documentation(t))
	if m == nil {
		t.Fatal("the page has no detector")
	}
	c, env := python(t, m[1])
	d, err := c.Open(env)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	results, err := d.Detect(t.Context(), utterances("The LATTICE.", "A walk."))
	if err != nil || results[0].Outcome.String() != "present" || results[1].Outcome.String() != "absent" {
		t.Errorf("%+v, %v", results, err)
	}
}

// TestDocumentedLimitsAreThoseOfTheCode reads the table of limits.
func TestDocumentedLimitsAreThoseOfTheCode(t *testing.T) {
	text := documentation(t)
	for _, row := range []string{"| 256 KiB |", "| spans of an answer | 1,000 |", "| reason, label | 500, 100 characters |", "| rows of a batch | 10,000 |", "| processes | 256 |", "| `timeout` | 60 |", "| `start_timeout` | 120 |"} {
		if !strings.Contains(text, row) {
			t.Errorf("the page lacks %q", row)
		}
	}
	if longestLine != 256<<10 || mostSpans != 1000 || longestReason != 500 || longestLabel != 100 || mostBatch != 10_000 || mostProcesses != 256 ||
		defaults.Timeout != 60 || defaults.Start != 120 || mostInARow != 32 || tries != 6 || len(pauses) != 4 {
		t.Error("a limit has changed: change it in docs/detector-protocol.md and here")
	}
}
