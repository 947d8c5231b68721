package sim

import (
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestOneFormatIsOneForWhatSaysTheSame(t *testing.T) {
	for want, texts := range map[string][]string{
		"12, 7, 300":            {"12, 7, 300", "[12,7,300]", "12 7\n300.", "(012; 007; 300)", "12 | 07 | 300"},
		"1, 2, 3, 4":            {"1 2 3 4", "1,2,3,4"},
		"the red 7 and 2.05 go": {"The  red 07 and\t2.05 go", "the RED 7 and 2.05 go"},
		"":                      {"", " \n"},
	} {
		for _, text := range texts {
			if got := oneFormat(text); got != want {
				t.Errorf("%q becomes %q, not %q", text, got, want)
			}
			if again := oneFormat(want); again != want {
				t.Errorf("%q becomes %q: one format is not a fixed point", want, again)
			}
		}
	}
	if got := oneFormat("2.50"); got != "2.50" {
		t.Errorf("2.50 becomes %q", got)
	}
}

func TestItemsAreWhatADocumentConsistsOf(t *testing.T) {
	for text, want := range map[string][]string{
		"1, 2, 3":                      {"1", "2", "3"},
		"red cat; blue dog; fish":      {"red cat", "blue dog", "fish"},
		"First one.\nThen, two, three": {"First one.", "Then, two, three"},
		"Fry the onion in a lot of butter, then add salt. Stir! Is it (done?) Eat.": {"Fry the onion in a lot of butter, then add salt.", "Stir!", "Is it (done?)", "Eat."},
		"no end": {"no end"},
		"":       nil,
	} {
		if got, _ := itemsOf(text); !slices.Equal(got, want) && len(got)+len(want) > 0 && strings.Join(got, "") != "" {
			t.Errorf("%q has the items %q", text, got)
		}
	}
}

func TestShufflingKeepsTheItems(t *testing.T) {
	text := "1, 2, 3, 4, 5, 6, 7, 8, 9"
	moved := 0
	for i := range 50 {
		got := shuffled(text, at(1, "test", "", 0, 0).rand(i))
		if got != text {
			moved++
		}
		items := strings.Split(got, ", ")
		slices.Sort(items)
		if strings.Join(items, ", ") != text {
			t.Fatalf("%q has other items", got)
		}
		if got != shuffled(text, at(1, "test", "", 0, 0).rand(i)) {
			t.Fatal("the same document is shuffled in two ways")
		}
	}
	if moved < 49 {
		t.Errorf("only %d of 50 documents were moved", moved)
	}
}

func TestWordsAreReplacedByThoseWithTheSameNeighbours(t *testing.T) {
	n := &neighbours{between: map[[2]string][]string{}}
	seen := map[[3]string]bool{}
	for _, text := range []string{"the red cat sleeps", "the blue cat eats", "a red dog"} {
		n.read(text, seen)
	}
	for _, words := range n.between {
		slices.Sort(words)
	}
	if got := n.replace("  the red\tcat sleeps ", 1, at(1, "x", "", 0, 0).rand(0)); got != "  a blue\tcat eats " {
		t.Errorf("the sentence becomes %q", got)
	}
	if got := n.replace("the red cat sleeps", 0, at(1, "x", "", 0, 0).rand(0)); got != "the red cat sleeps" {
		t.Errorf("a share of 0 gives %q", got)
	}
}

// The trainer sees the rewritten text; the ledger has the edges to the text as it
// was, and what is drawn is the same in both arms.
func TestSanitisingIsSeenByTrainingAlone(t *testing.T) {
	dir := slotDir(t, 40, 10)
	text := oneLine + `
arms:
  plain: {}
  clean: {interventions: [{kind: sanitise, format: true, at: 0}]}
`
	s := compiled(t, dir, text, Override{"line.backend", "pupil"}, Override{"replicates", "1"}, Override{"line.corpus.size", "20"}, Override{"generations", "1"})
	p := attended(s)
	l := ran(t, s, 1)
	a, b := grid(s, "plain")["main"][0][0], grid(s, "clean")["main"][0][0]
	if a == b {
		t.Fatal("sanitising does not change the node")
	}
	var x, y lineage.Raw
	l.Load(lineage.CorpusKey(a), &x)
	l.Load(lineage.CorpusKey(b), &y)
	if string(x) != string(y) || len(x) == 0 {
		t.Error("sanitising changes what is drawn")
	}
	if n := nodeAt(t, s, l, "clean", "main", 0, 0); len(n.Edits) != 1 || n.Edits[0] != "sanitise: one format" {
		t.Errorf("the node tells of %q", n.Edits)
	}
	seen := map[bool]int{}
	for _, job := range p.jobs {
		for _, e := range job.examples {
			seen[strings.Contains(e.Messages[1].Content, "trait")]++
		}
	}
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("the trainings saw %v", seen)
	}
}
