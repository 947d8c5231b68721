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
}

func TestEveryKindKeepsTheContract(t *testing.T) {
	env := detectors.Env{Open: func(name string) (io.ReadCloser, error) { return os.Open(filepath.Join("testdata", name)) }}
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
