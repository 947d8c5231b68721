package sim

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/sim/catalogue"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

const sound = `heirloom: 1
name: sound
generations: 3
replicates: 2
behaviours: {trauma-narrative: {}}
line:
  backend: {kind: urn}
  corpus: {size: 10, preset: replace, human: web/everyday}
  publish: {prompts: web/prompts}
lines:
  a: {}
  b: {}
`

func faultsOf(t *testing.T, text string, overrides ...Override) []Fault {
	t.Helper()
	_, err := Parse("x.yaml", ".", []byte(text), overrides)
	var invalid *Invalid
	if !errors.As(err, &invalid) {
		t.Fatalf("wanted faults, got %v from\n%s", err, text)
	}
	return invalid.Faults
}

func TestEveryFaultIsToldAtOnceWithItsPlace(t *testing.T) {
	text := strings.NewReplacer(
		"generations: 3", "generatoins: 3",
		"kind: urn", "kind: urm",
		"size: 10", "size: ten",
		"  b: {}", "  b: {corpus: {human: web/everydya}}",
	).Replace(sound) + "interventions:\n  - {kind: inject, behaviour: truama, dose: 1.3, lines: [c]}\n"
	got := (&Invalid{faultsOf(t, text)}).Error()
	for _, want := range []string{
		`x.yaml:3:1: generatoins: unknown key "generatoins"; did you mean "generations"?`,
		`x.yaml:7:12: lines.a.backend: unknown backend "urm"; did you mean "urn"? Known: ngram, pupil, transformer, urn`,
		`x.yaml:8:18: lines.a.corpus.size: needs a whole number, not "ten"`,
		`x.yaml:12:23: lines.b.corpus.human: unknown source "web/everydya"; did you mean "web/everyday"?`,
		`x.yaml:14:31: interventions[0].behaviour: unknown behaviour "truama"`,
		`x.yaml:14:45: interventions[0].dose: 1.3 is not within [0, 1]`,
		`x.yaml:14:58: interventions[0].lines[0]: unknown line "c"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no fault\n  %s\namong\n%s", want, got)
		}
	}
}

func TestBadExperimentsAreRefusedInWords(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not YAML":            {"a: [", "is not YAML"},
		"empty":               {"", "is empty; heirloom init"},
		"a list":              {"- a", "an experiment is a mapping"},
		"two documents":       {sound + "---\na: 1\n", "more than one YAML document"},
		"a key twice":         {sound + "name: again\n", "is given twice; first in line 2"},
		"an alias of itself":  {"a: &a [*a]\n", "stands within its own anchor"},
		"version 2":           {strings.Replace(sound, "heirloom: 1", "heirloom: 2", 1), "this program reads experiments of version 1"},
		"no behaviours":       {strings.Replace(sound, "behaviours: {trauma-narrative: {}}", "behaviours: {}", 1), "there is nothing to watch"},
		"NaN":                 {sound + "interventions: [{kind: inject, behaviour: trauma-narrative, dose: .nan}]\n", "needs a finite number"},
		"unknown learner":     {strings.Replace(sound, "  a: {}", "  a: {learner: preference}", 1), "cannot learn by"},
		"shares beyond 1":     {strings.Replace(sound, "preset: replace", "parts: [{outputs: self, share: .7}, {outputs: others, share: .7}]", 1), "the shares sum to 1.4, not to 1"},
		"two kinds of part":   {strings.Replace(sound, "preset: replace", "parts: [{outputs: self, corpus: self, share: 1}]", 1), "this one is 2 of them"},
		"a misspelt sweep":    {sound + "swep: {a: [1]}\n", `unknown key "swep"; did you mean "sweep"?`},
		"an arm with a seed":  {sound + "arms: {x: {seed: 4}}\n", "arms are matched worlds"},
		"a hostile name":      {strings.Replace(sound, "name: sound", `name: "../\x1b[2J"`, 1), "a name is made of letters"},
		"sweep of nothing":    {sound + "sweep: {line.backend.order: [1, 2]}\n", "exists in no arm"},
		"too few to choose":   {sound + "interventions: [{kind: curate, detector: trauma-narrative, best_of: 3}]\n", "set lines.a.publish.size to 30"},
		"never applies":       {sound + "interventions: [{kind: filter, detector: trauma-narrative, from: 9}]\n", "would never apply"},
		"foundation unnamed":  {strings.Replace(sound, "  a: {}", "  a: {base: foundation}", 1), "needs the source that the foundation is trained on"},
		"an empty item":       {sound + "interventions: [~]\n", "is empty; remove the item"},
		"an empty detector":   {strings.Replace(sound, "{trauma-narrative: {}}", "{x: {detectors: [y]}}", 1) + "detectors: {y: }\n", `unknown detector "y"`},
		"<< of a word":        {strings.Replace(sound, "  a: {}", "  a: {<<: bogus}", 1), "<< takes a mapping"},
		"<< of a list":        {strings.Replace(sound, "  a: {}", "  a: {<<: [{base: parent}, {bogus: 1}]}", 1), `unknown key "bogus"`},
		"a value swept twice": {sound + "sweep: {line.corpus.size: [10, 10]}\n", "makes two arms named"},
		"whole and curated":   {strings.Replace(sound, "preset: replace", "preset: accumulate", 1) + "interventions: [{kind: curate, detector: trauma-narrative}]\n", "nothing to choose among"},
		"whole, quarantined":  {strings.Replace(sound, "preset: replace", "preset: accumulate", 1) + "interventions: [{kind: quarantine, line: b}]\n", "is taken whole by b"},
		"an endless dose":     {sound + "interventions: [{kind: inject, behaviour: trauma-narrative, count: 9000000000000000000, placement: add}]\n", "is not within"},
		"detector of no kind": {sound + "detectors: {x: {threshold: .5}}\n", "needs the key kind"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&Invalid{faultsOf(t, c.text)}).Error(); !strings.Contains(got, c.want) {
				t.Errorf("said\n%s\nand not %q", got, c.want)
			}
		})
	}
}

func TestAliasBombIsRefused(t *testing.T) {
	text := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		prev, next := string(rune('0'+i)), string(rune('1'+i))
		text += "a" + next + ": &a" + next + " [" + strings.Repeat("*a"+prev+",", 10) + "]\n"
	}
	if got := faultsOf(t, text)[0].Message; !strings.Contains(got, "200,000 values") && !strings.Contains(got, "excessive aliasing") {
		t.Errorf("said %q", got)
	}
}

func TestOverridesReachEveryPlace(t *testing.T) {
	text := sound + "arms: {x: {interventions: [{name: dose, kind: inject, behaviour: trauma-narrative, dose: .1}]}}\n"
	f, err := Parse("x.yaml", ".", []byte(text), []Override{
		{"line.corpus.size", "20"}, {"lines.b.corpus.size", "30"}, {"arms.x.interventions[dose].dose", "0.4"}, {"question", "why?"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := f.Worlds[1]
	if a, b := w.Lines["a"].Corpus.Size, w.Lines["b"].Corpus.Size; a != 20 || b != 30 {
		t.Errorf("sizes are %d and %d", a, b)
	}
	if d := w.Interventions[0].Edit.(*Inject).Dose; d != .4 || w.Question != "why?" {
		t.Errorf("dose %v, question %q", d, w.Question)
	}
	for _, bad := range []Override{{"[a", "1"}, {"a..b", "1"}, {"line", "&x {corpus: *x}"}, {"line.corpus.size", "{"}, {"lines[3]", "1"}} {
		if f := faultsOf(t, sound, bad); !strings.HasPrefix(f[0].File, "--set ") {
			t.Errorf("the override %v gives %v", bad, f)
		}
	}
	faults := faultsOf(t, sound, Override{"line.corpus.sise", "3"})
	if !strings.Contains(faults[0].Message, `did you mean "size"`) {
		t.Errorf("a misspelt override says %q", faults[0].Message)
	}
}

func TestSweepMakesACellOfEveryCombination(t *testing.T) {
	text := sound + `
arms: {x: {interventions: [{name: dose, kind: inject, behaviour: trauma-narrative, dose: .1}]}}
sweep:
  interventions[dose].dose: [0.1, 0.2, 0.4]
  line.corpus.size: [10, 20]
`
	s := compiled(t, ".", text)
	got := map[string]string{}
	for _, a := range s.Record.Arms {
		got[a.Name] = a.Baseline
	}
	want := map[string]string{"control[size=10]": "control[size=10]", "control[size=20]": "control[size=20]"}
	for _, dose := range []string{"0.1", "0.2", "0.4"} {
		for _, size := range []string{"10", "20"} {
			want["x[dose="+dose+",size="+size+"]"] = "control[size=" + size + "]"
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the arms with their controls are %v", got)
	}
}

func TestArmsShareWhatTheyAgreeOn(t *testing.T) {
	s := compiled(t, ".", sound+"arms: {x: {interventions: [{kind: filter, detector: trauma-narrative, from: 2}]}}\n")
	// 2 lines × 2 replicates × (3 generations, and the last one once more)
	if got := s.Nodes(); got != 16 {
		t.Errorf("two arms that differ in the last generation have %d nodes, not 16", got)
	}
}

func TestSchemaAcceptsEveryScenarioAndRefusesUnknownKeys(t *testing.T) {
	var doc any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text string) error {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		data, _ := json.Marshal(v)
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(instance)
	}
	texts := []string{sound, webText(2)}
	for _, name := range catalogue.Scenarios() {
		data, _ := catalogue.Scenario(name)
		texts = append(texts, string(data))
	}
	for _, text := range texts {
		if err := check(text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	for _, bad := range []string{"generatoins: 3\n", "arms: {x: {interventions: [{kind: inject, dosis: 1}]}}\n"} {
		if check(sound+bad) == nil {
			t.Errorf("the schema accepts %q", bad)
		}
	}
}

func TestWhatOnlyOpeningShowsIsInvalidToo(t *testing.T) {
	for _, text := range []string{
		sound + "sources: {gone: {file: gone.jsonl}}\nsweep: {line.corpus.human: [gone]}\n",
		strings.Replace(sound, "preset: replace", "preset: accumulate", 1) + "interventions: [{kind: anchor, share: .1}]\n",
	} {
		f, err := Parse("x.yaml", t.TempDir(), []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var invalid *Invalid
		if _, err = Compile(f); !errors.As(err, &invalid) {
			t.Errorf("says %v", err)
		}
	}
}

func TestCurationLooksAtTheLineThatItReads(t *testing.T) {
	text := strings.Replace(sound, "  b: {}", "  b: {publish: {size: 40}}", 1)
	text = strings.Replace(text, "  a: {}", "  a: {corpus: {preset: null, parts: [{outputs: b, share: 1}]}}", 1)
	if _, err := Parse("x.yaml", ".", []byte(text+"interventions: [{kind: curate, detector: trauma-narrative, best_of: 4, lines: [a]}]\n"), nil); err != nil {
		t.Errorf("40 outputs are enough for 4 times 10: %v", err)
	}
}

func TestScenariosCompile(t *testing.T) {
	for _, name := range catalogue.Scenarios() {
		data, _ := catalogue.Scenario(name)
		if s := compiled(t, ".", string(data)); s.Nodes() == 0 {
			t.Errorf("%s has no nodes", name)
		}
	}
	if !slices.Contains(catalogue.Scenarios(), "trauma-narratives") {
		t.Error("the default scenario is not in the catalogue")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(webText(2)))
	f.Add([]byte("lines: {a: }\nline: []\narms: {x: [1]}\nsweep: {line: [{}]}"))
	f.Add([]byte("a: &a {<<: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		file, err := Parse("x.yaml", ".", data, nil)
		var invalid *Invalid
		if err != nil && !errors.As(err, &invalid) {
			t.Errorf("an unreadable experiment gives %T: %v", err, err)
		}
		if err == nil && len(file.Worlds) == 0 {
			t.Error("an experiment without worlds")
		}
	})
}
