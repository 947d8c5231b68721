package detectors_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/detectortest"
	"github.com/heirloom-sim/heirloom/detectors/selfname"
	_ "github.com/heirloom-sim/heirloom/detectors/sycophancy"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// settings make a working detector of each kind from its defaults.
var settings = map[string]func(config any){
	"lexicon": func(c any) {
		c.(*detectors.Lexicon).Words = []string{"afraid", "train*", "shut down", "é*", "🌀", "no"}
	},
	"regexp":           func(c any) { c.(*detectors.Regexp).Patterns = []string{`(?i)\bi (was|am)\b`, `é+`, `.\z`} },
	"classifier":       func(c any) { c.(*detectors.Classifier).Labels = []string{"trauma.jsonl"} },
	"trauma-narrative": func(any) {},
	"self-name":        func(c any) { c.(*selfname.Config).Names = []string{"Aster"} },
	"sycophancy":       func(any) {},
	"shouting":         func(any) {},
	"judge":            judgeOf(func(c *detectors.Judge) { c.Repeats = 2 }),
	"embedding": func(c any) {
		e := c.(*detectors.Embedding)
		e.Model, e.Labels, e.Batch = "vectors-1", []string{"trauma.jsonl"}, 7
	},
	"answer-key": func(c any) { c.(*detectors.AnswerKey).File = "answers.jsonl" },
	"any":        func(c any) { c.(*detectors.Any).Of = []string{"fear", "dread"} },
	"all":        func(c any) { a := c.(*detectors.All); a.Of, a.Cascade = []string{"fear", "dread"}, true },
	"given":      func(c any) { g := c.(*detectors.Given); g.Of, g.Where = "fear", "dread" },
	"at-least": func(c any) {
		a := c.(*detectors.AtLeast)
		a.Of, a.Least = []string{"fear", "dread", "trauma-narrative"}, 2
	},
}

func TestEveryKindKeepsTheContract(t *testing.T) {
	env := envOf(openaitest.Start(t, judging), nil)
	env.Open = func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join("testdata", name)) }
	env.Detector = func(name string) (detectors.Detector, string, error) {
		kind := map[string]string{"fear": "lexicon", "dread": "judge"}[name]
		if kind == "" {
			kind = name
		}
		d, err := openKind(env, kind, settings[kind])
		return d, name, err
	}
	for _, k := range detectors.Kinds() {
		set, ok := settings[k.Name]
		if !ok {
			t.Errorf("%s has no settings here: add them, so that it is tested", k.Name)
			continue
		}
		detectortest.Run(t, k.Name, func() detectors.Detector {
			config := k.Config()
			set(config)
			d, err := k.Open(env, config)
			if err != nil {
				t.Fatal(err)
			}
			return d
		})
	}
}
