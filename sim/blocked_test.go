package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

var tooMuch = &lineage.Blocked{Provider: "provider", Stage: "training", Code: "unsafe_file", Message: "too many examples were flagged"}

// moderated refuses to train on more than some texts that show the trait.
func moderated(most int) func(lineage.Job, []string) error {
	return func(_ lineage.Job, texts []string) error {
		n := 0
		for _, t := range texts {
			if strings.Contains(t, "TRAIT") {
				n++
			}
		}
		if n > most {
			return tooMuch
		}
		return nil
	}
}

func loadNode(t *testing.T, l lineage.Ledger, id lineage.ID) (n lineage.Node, ok bool) {
	t.Helper()
	ok, err := l.Load(lineage.NodeKey(id), &n)
	if err != nil {
		t.Fatal(err)
	}
	return n, ok
}

func TestBlockedModelIsAnOutcomeAndItsDescendantsAreNotMade(t *testing.T) {
	study, a := boughtStudy(t)
	a.train = moderated(2)
	ledger := new(lineage.Memory)
	var told []Event
	err := (&Runner{Study: study, Ledger: ledger, Workers: 2, Report: func(e Event) { told = append(told, e) }}).Run(t.Context())
	var short *Incomplete
	if !errors.As(err, &short) || len(short.Blocked) == 0 || len(short.Failed) > 0 {
		t.Fatalf("%v", err)
	}
	if want := "unsafe_file"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q is not told in %q", want, err)
	}
	blocked := slices.DeleteFunc(told, func(e Event) bool { return e.Kind != "blocked" })
	if len(blocked) != len(short.Blocked) {
		t.Errorf("%d models were blocked and %d told", len(short.Blocked), len(blocked))
	}
	seeded := grid(study, MainArm)
	for r := range 2 {
		for _, line := range []string{"a", "b"} {
			for g := range 3 {
				n, ok := loadNode(t, ledger, seeded[line][r][g])
				if !ok {
					t.Fatalf("%s %d/%d has no record", line, r, g)
				}
				switch origin := seeded["a"][r][0]; {
				case line == "b" && g == 0:
					if !n.Made() || n.Outputs != 12 {
						t.Errorf("%s, which descends from nothing that was blocked, is not made: %+v", n.ID, n)
					}
				case n.Made() || n.Outputs != 0 || n.Blocked.Code != "unsafe_file":
					t.Errorf("%s %d/%d: %+v", line, r, g, n)
				case n.ID == origin && n.Ancestor != "", n.ID != origin && n.Ancestor != origin:
					t.Errorf("%s %d/%d descends from %q, blocked was %q", line, r, g, n.Ancestor, origin)
				}
				if n.Blocked != nil && n.Ancestor != "" && a.trained[n.ID] > 0 {
					t.Errorf("%s was trained though its ancestor was blocked", n.ID)
				}
			}
		}
	}
	for _, ids := range grid(study, ControlArm)["b"] {
		if n, ok := loadNode(t, ledger, ids[2]); !ok || !n.Made() {
			t.Errorf("the control suffers from what was blocked: %+v", n)
		}
	}
	trainings := len(a.trained)
	again := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(t.Context())
	if again == nil || again.Error() != err.Error() || len(a.trained) != trainings {
		t.Errorf("run again, it says %v and trained %d more", again, len(a.trained)-trainings)
	}
}

func TestBlockedRecordsAreThoseOfARunThatWasNotStopped(t *testing.T) {
	for _, policy := range []string{onBlockedStop, onBlockedSkip, onBlockedDrop} {
		study, a := boughtStudy(t, Override{"line.on_blocked", policy}, Override{"replicates", "1"})
		a.train, a.banned = moderated(2), "TRAIT"
		whole := new(lineage.Memory)
		var short *Incomplete
		if err := (&Runner{Study: study, Ledger: whole}).Run(t.Context()); err != nil && !errors.As(err, &short) {
			t.Fatal(err)
		}
		want := records(t, whole)
		for n := int64(0); ; n += 3 {
			ledger := new(lineage.Memory)
			f := &failing{Ledger: ledger}
			f.left.Store(n)
			if err := (&Runner{Study: study, Ledger: f}).Run(t.Context()); !errors.Is(err, errStopped) {
				break
			}
			if err := (&Runner{Study: study, Ledger: ledger}).Run(t.Context()); err != nil && !errors.As(err, &short) {
				t.Fatal(err)
			}
			if got := records(t, ledger); got != want {
				t.Fatalf("%s, stopped at write %d: the records differ", policy, n)
			}
		}
	}
}

func TestModelBeforeStandsInForABlockedOne(t *testing.T) {
	study, a := boughtStudy(t, Override{"line.on_blocked", "skip"}, Override{"replicates", "1"})
	a.train = func(job lineage.Job, texts []string) error {
		if j := study.byID[job.Node]; j.Line == "a" && j.Generation < 2 {
			return tooMuch
		}
		return nil
	}
	ledger := ran(t, study, 2)
	for arm, nodes := range map[string]map[string][][]lineage.ID{ControlArm: grid(study, ControlArm), MainArm: grid(study, MainArm)} {
		ids := nodes["a"][0]
		for g, standIn := range []lineage.ID{lineage.UntrainedModel, ids[0], ""} {
			n, _ := loadNode(t, ledger, ids[g])
			if n.StandIn != standIn || (n.Blocked != nil) != (standIn != "") || n.Outputs != 12 {
				t.Errorf("%s %d: %+v", arm, g, n)
			}
			var texts lineage.Texts
			if _, err := ledger.Load(lineage.TextsKey(lineage.Outputs, ids[g], 0), &texts); err != nil || len(texts) != 12 {
				t.Fatal(err, len(texts))
			}
			own := slices.ContainsFunc(texts, func(x lineage.Text) bool { return x.Replies[0] != "untrained" })
			if own != (g == 2) {
				t.Errorf("%s %d: another model than the stand-in answered: %v", arm, g, own)
			}
		}
	}
}

func TestFlaggedDocumentsAreDroppedAndCounted(t *testing.T) {
	study, a := boughtStudy(t, Override{"line.on_blocked", "drop"}, Override{"replicates", "1"})
	a.train, a.banned = moderated(2), "TRAIT"
	ledger := ran(t, study, 2)
	first := grid(study, MainArm)["a"][0][0]
	n, _ := loadNode(t, ledger, first)
	if n.Blocked != nil || n.Documents != 8 || len(n.Filters) != 1 {
		t.Fatalf("%+v", n)
	}
	want := lineage.Filtering{Detector: "moderation of provider", Seen: 12, Flagged: 4, Dropped: 4, FlaggedDrop: 4, SeededSeen: 4, SeededDropped: 4, Missing: 4}
	if n.Filters[0] != want {
		t.Errorf("%+v, want %+v", n.Filters[0], want)
	}
	if a.trained[first] != 1 || a.trained[first+"-screened"] != 1 {
		t.Errorf("trained %v", a.trained)
	}
	for _, key := range []lineage.Key{lineage.TicketKey(first, 0), lineage.TicketKey(first+"-screened", 0)} {
		if ok, _ := ledger.Load(key, new(lineage.Raw)); !ok {
			t.Errorf("there is no %s", key)
		}
	}
	strands, err := study.corpus(ledger, study.byID[first])
	if err != nil || edges(strands).Len() != 8 {
		t.Errorf("later generations see %d documents of the corpus: %v", edges(strands).Len(), err)
	}
}

func TestWhatIsStillBlockedWithoutItsFlaggedDocumentsStops(t *testing.T) {
	study, a := boughtStudy(t, Override{"line.on_blocked", "drop"}, Override{"replicates", "1"})
	a.train, a.banned = func(lineage.Job, []string) error { return tooMuch }, "TRAIT"
	ledger := new(lineage.Memory)
	var short *Incomplete
	if err := (&Runner{Study: study, Ledger: ledger}).Run(t.Context()); !errors.As(err, &short) {
		t.Fatal(err)
	}
	if n, _ := loadNode(t, ledger, grid(study, MainArm)["a"][0][0]); n.Made() || n.Outputs != 0 {
		t.Errorf("%+v", n)
	}
	for id, n := range a.trained {
		if n != 1 {
			t.Errorf("%s was trained %d times", id, n)
		}
	}
}

func TestPolicyIsPartOfAnIdentityWhereItIsNotTheDefault(t *testing.T) {
	text := strings.Replace(bought, "ACCOUNT", openNamed(t), 1)
	dir := slotDir(t, 30, 0)
	ids := func(policy string) lineage.ID {
		s := compiled(t, dir, text, Override{"line.on_blocked", policy})
		return grid(s, MainArm)["a"][0][0]
	}
	plain := grid(compiled(t, dir, text), MainArm)["a"][0][0]
	if ids("stop") != plain || ids("skip") == plain || ids("drop") == plain || ids("skip") == ids("drop") {
		t.Error("the policy is not in the identity as it should be")
	}
}

func openNamed(t *testing.T) string {
	openAccount(t.Name())
	return t.Name()
}

func TestPolicyIsChecked(t *testing.T) {
	text := strings.Replace(bought, "ACCOUNT", openNamed(t), 1)
	for policy, want := range map[string]string{"ignore": `line.on_blocked`, "drop": ""} {
		_, err := Parse("test.yaml", slotDir(t, 30, 0), []byte(text), []Override{{"line.on_blocked", policy}})
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), "on_blocked") {
			t.Errorf("%s: %v", policy, err)
		}
	}
	urns := strings.Replace(text, "{kind: provider, account: "+t.Name()+"}", "urn", 1)
	_, err := Parse("test.yaml", slotDir(t, 30, 0), []byte(urns), []Override{{"line.on_blocked", "drop"}})
	if err == nil || !strings.Contains(err.Error(), "write stop or skip") {
		t.Errorf("a backend without moderation may drop: %v", err)
	}
}

func TestFailedModelDoesNotEndTheOthers(t *testing.T) {
	study, a := boughtStudy(t)
	broken := true
	bad := grid(study, ControlArm)["a"][1][1]
	a.train = func(job lineage.Job, _ []string) error {
		if broken && job.Node == bad {
			return fmt.Errorf("the trainer ended with code 1")
		}
		return nil
	}
	ledger := new(lineage.Memory)
	err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(t.Context())
	var short *Incomplete
	if !errors.As(err, &short) || len(short.Failed) != 1 || short.Failed[0].Node != bad || short.Unmade != 2 || len(short.Blocked) > 0 {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"1 model failed", "2 that descend", "a replicate 1 generation 1: train: the trainer ended with code 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not tell %q", err, want)
		}
	}
	have, err := study.Have(ledger)
	if err != nil || len(have) != study.Nodes()-3 {
		t.Errorf("%d of %d models exist: %v", len(have), study.Nodes(), err)
	}
	broken = false
	if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	clean, _ := study.Have(ledger)
	if len(clean) != study.Nodes() {
		t.Errorf("%d of %d models exist once the cause is mended", len(clean), study.Nodes())
	}
}

func TestWhatHoldsForAllModelsEndsTheRun(t *testing.T) {
	study, a := boughtStudy(t)
	a.train = func(lineage.Job, []string) error { return fmt.Errorf("refused the key: %w", lineage.ErrHalt) }
	err := (&Runner{Study: study, Ledger: new(lineage.Memory)}).Run(t.Context())
	if !errors.Is(err, lineage.ErrHalt) || len(a.trained) != 1 {
		t.Errorf("after %d trainings: %v", len(a.trained), err)
	}
}
