package sim

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

const schooled = slot + `
generations: 4
replicates: 2
line:
  backend: pupil
  corpus: {size: 20, preset: replace, human: web}
  publish: {prompts: web}
lines:
  old: {}
  near: {learner: distil, teacher: old}
  far: {learner: distil, teacher: {line: self, back: 3}}
  based: {learner: distil, base: foundation, foundation: {source: web, initialisation: shared}, teacher: {foundation: {source: seeds, learner: sdf, per_replicate: true}}}
  other: {base: foundation, foundation: {source: web, initialisation: shared}}
`

func TestStudentsLearnFromTheTeacherThatIsNamed(t *testing.T) {
	s := compiled(t, slotDir(t, 20, 5), schooled)
	p := attended(s)
	l := ran(t, s, 1)
	g := grid(s, MainArm)
	for _, c := range []struct {
		line       string
		generation int
		teacher    lineage.ID
	}{
		{"near", 0, ""}, {"near", 1, g["old"][1][0]}, {"near", 3, g["old"][1][2]},
		{"far", 2, ""}, {"far", 3, g["far"][1][0]},
		{"old", 3, ""},
	} {
		id := g[c.line][1][c.generation]
		n := nodeAt(t, s, l, MainArm, c.line, 1, c.generation)
		got := p.of(t, s, id)
		learner := lineage.SFT
		if c.teacher != "" {
			learner = lineage.Distil
		}
		if n.Teacher != c.teacher || n.Learner != learner || got.Job.Learner != learner || (got.Teacher != nil) != (c.teacher != "") {
			t.Errorf("%s generation %d: teacher %q, learner %s, not %q", c.line, c.generation, n.Teacher, n.Learner, c.teacher)
		}
		if c.teacher == "" {
			continue
		}
		want, err := (&Runner{Study: s, Ledger: l}).artifact(context.Background(), s.byID[c.teacher])
		if err != nil {
			t.Fatal(err)
		}
		a, _ := want.MarshalBinary()
		if b, _ := got.Teacher.MarshalBinary(); !bytes.Equal(a, b) {
			t.Errorf("%s generation %d learns from other weights than those of its teacher", c.line, c.generation)
		}
	}
}

func TestFoundationsAreSharedByNameAndTrainedForEachReplicateWhereAsked(t *testing.T) {
	s := compiled(t, slotDir(t, 20, 5), schooled)
	l := ran(t, s, 2)
	node := func(line string, r, g int) lineage.Node { return nodeAt(t, s, l, MainArm, line, r, g) }
	if a, b := node("based", 0, 1).BaseNode, node("other", 1, 3).BaseNode; a != b || a == "" {
		t.Errorf("two lines of one initialisation start from %q and %q", a, b)
	}
	first, second := node("based", 0, 0).Teacher, node("based", 1, 0).Teacher
	if first == second || first == "" || second == "" {
		t.Errorf("two replicates learn from %q and %q: each should have its own", first, second)
	}
	if first != node("based", 0, 3).Teacher {
		t.Error("a replicate's foundation changes between generations")
	}
	var n lineage.Node
	if ok, err := l.Load(lineage.NodeKey(first), &n); !ok || err != nil || n.Replicate != 0 || n.Generation != -1 || n.Learner != lineage.SDF {
		t.Errorf("the teacher is %+v: %v", n, err)
	}
	different := compiled(t, slotDir(t, 20, 5), strings.Replace(schooled, "initialisation: shared}}\n", "initialisation: another}}\n", 1))
	if a, b := grid(different, MainArm), grid(s, MainArm); a["other"][0][0] == b["other"][0][0] || a["based"][0][0] != b["based"][0][0] {
		t.Error("another initialisation of one line moves the wrong nodes")
	}
}

func TestSwappedBaseMayHaveAnotherInitialisation(t *testing.T) {
	s := compiled(t, slotDir(t, 20, 5), schooled+`
interventions: [{kind: swap-base, base: foundation, foundation: {initialisation: strange}, from: 2, lines: [other]}]
`)
	l := ran(t, s, 2)
	was, is := nodeAt(t, s, l, MainArm, "other", 0, 1), nodeAt(t, s, l, MainArm, "other", 0, 2)
	if is.BaseNode == was.BaseNode || is.Base != lineage.Foundation || s.byID[is.BaseNode].Blocks[0].Pool != "foundation:web" {
		t.Errorf("generation 2 starts from %q, generation 1 from %q", is.BaseNode, was.BaseNode)
	}
}

func TestTeachersThatCannotBeAreRefusedInWords(t *testing.T) {
	for line, want := range map[string]string{
		`{learner: distil}`:                                      "learner: distil and a teacher go together",
		`{teacher: self}`:                                        "learner: distil and a teacher go together",
		`{learner: distil, teacher: nobody}`:                     `unknown line "nobody"`,
		`{learner: distil, teacher: {line: self, back: 0}}`:      "0 is less than 1",
		`{learner: distil, teacher: {back: 2}}`:                  "either a line or a foundation",
		`{learner: distil, teacher: {foundation: nowhere}}`:      `"nowhere"`,
		`{learner: distil, teacher: stranger}`:                   "soft labels need the same kind of backend",
		`{foundation: {source: web, learner: distil}}`:           `"distil"`,
		`{learner: sft, foundation: {source: web, learner: no}}`: `"no"`,
	} {
		text := slot + "generations: 2\nline: {backend: pupil, corpus: {size: 5, preset: replace, human: web}, publish: {prompts: web}}\nlines:\n  stranger: {backend: urn}\n  x: " + line + "\n"
		if _, err := Parse("t.yaml", slotDir(t, 5, 1), []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", line, err, want)
		}
	}
}
