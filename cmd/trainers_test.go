package cmd

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestExamplesOfTrainersPlan(t *testing.T) {
	files, _ := filepath.Glob("../examples/trainers/*/*.yaml")
	if len(files) < 9 {
		t.Fatalf("there are %d examples", len(files))
	}
	for _, file := range files {
		code, stdout, stderr := heirloom(t, "plan", file, "--out", filepath.Join(t.TempDir(), "x.heirloom"))
		if code != exitDone || !strings.Contains(stdout, "arm seeded") {
			t.Errorf("%s: exit %d: %s%s", file, code, stdout, stderr)
		}
	}
}
