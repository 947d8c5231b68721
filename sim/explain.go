package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Stage is the nodes of one line and generation of one arm, as a plan shows them.
type Stage struct {
	Arm, Line  string
	Generation int
	Nodes      int // one a replicate
	Exist      int // in the ledger already
	Shared     int // of the others, made by an arm further up
	Documents  int // to train on, a node; -1 where it depends on what is drawn
	Requests   int // to sample, a node
	Sample     lineage.ID
	Why        string // with an explanation: why the first missing node has to be made
	Bill       *Bill  `json:",omitempty"` // for the nodes to make, where they cost money
}

// Plan tells what a run would do: for each arm, line and generation how many
// nodes there are and which exist. With explain it names, for the first missing
// node of a stage, the first setting in which its recipe differs from that of
// an existing node at its place.
func (s *Study) Plan(ledger lineage.Ledger, explain bool) ([]Stage, error) {
	have, err := s.Have(ledger)
	if err != nil {
		return nil, err
	}
	others := map[spot]lineage.Node{}
	if explain {
		if others, err = foreign(ledger, s.byID); err != nil {
			return nil, err
		}
	}
	counted := map[lineage.ID]bool{}
	var stages []Stage
	for _, a := range s.Record.Arms {
		for g := range s.Record.Generations {
			for l, line := range s.Record.Lines {
				st := Stage{Arm: a.Name, Line: line, Generation: g, Nodes: s.Record.Replicates}
				for _, ids := range a.Nodes[l] {
					if err := s.account(&st, ids[g], have, counted, others, ledger, explain); err != nil {
						return nil, err
					}
				}
				stages = append(stages, st)
			}
		}
	}
	return stages, nil
}

func (s *Study) account(st *Stage, id lineage.ID, have, counted map[lineage.ID]bool, others map[spot]lineage.Node, ledger lineage.Ledger, explain bool) error {
	j := s.byID[id]
	st.Documents, st.Requests = j.documents(), j.Publish.Count+j.Probe.Count
	switch {
	case have[id]:
		st.Exist++
	case counted[id]:
		st.Shared++
	default:
		st.Bill = s.bill(st.Bill, j)
		if explain && st.Why == "" {
			why, err := s.why(j, others, ledger)
			if err != nil {
				return err
			}
			st.Sample, st.Why = id, why
		}
	}
	counted[id] = true
	return nil
}

func (j *job) documents() (n int) {
	for _, b := range j.Blocks {
		if b.Count == whole {
			return -1
		}
		n += b.Count
	}
	return n
}

// spot is where a node stands in a lineage.
type spot struct {
	line                  string
	replicate, generation int
}

// foreign gives, for each place, a node in the ledger that the study does not use.
func foreign(ledger lineage.Ledger, used map[lineage.ID]*job) (map[spot]lineage.Node, error) {
	out := map[spot]lineage.Node{}
	for key, err := range ledger.Keys("node/") {
		if err != nil {
			return nil, err
		}
		if used[lineage.ID(key[len("node/"):])] != nil {
			continue
		}
		var n lineage.Node
		if _, err := ledger.Load(key, &n); err != nil {
			return nil, err
		}
		at := spot{n.Line, n.Replicate, n.Generation}
		if _, taken := out[at]; !taken {
			out[at] = n
		}
	}
	return out, nil
}

// why says what makes a missing node differ from the one that is there.
func (s *Study) why(j *job, others map[spot]lineage.Node, ledger lineage.Ledger) (string, error) {
	old, ok := others[spot{j.Line, j.replicate, j.Generation}]
	if !ok {
		return "new: no node was ever made at this place", nil
	}
	var was recipeRef
	if err := json.Unmarshal(old.Recipe, &was); err != nil {
		return "", fmt.Errorf("%s: recipe: %w", lineage.NodeKey(old.ID), err)
	}
	if was.Shape == j.digest {
		for i, id := range j.nodes {
			if i >= len(was.Nodes) || was.Nodes[i] != id {
				ref := j.Refs[i]
				return fmt.Sprintf("descends from %s generation %d, which changed", ref.Line, ref.Generation), nil
			}
		}
	}
	var then lineage.Raw
	if ok, err := ledger.Load(shapeKey(was.Shape), &then); err != nil || !ok {
		return "", missing(shapeKey(was.Shape), err)
	}
	var a, b any
	if err := json.Unmarshal(then, &a); err != nil {
		return "", fmt.Errorf("%s: %w", shapeKey(was.Shape), err)
	}
	if err := json.Unmarshal(j.json, &b); err != nil {
		return "", err
	}
	return "differs in " + differs("", a, b), nil
}

// differs names the first path at which two JSON trees differ, and both values.
func differs(path string, was, is any) string {
	switch a := was.(type) {
	case map[string]any:
		if b, ok := is.(map[string]any); ok {
			keys := maps.Clone(a)
			maps.Copy(keys, b)
			for _, k := range slices.Sorted(maps.Keys(keys)) {
				if d := differs(join(path, k), a[k], b[k]); d != "" {
					return d
				}
			}
			return ""
		}
	case []any:
		if b, ok := is.([]any); ok && len(a) == len(b) {
			for i := range a {
				if d := differs(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); d != "" {
					return d
				}
			}
			return ""
		}
	}
	x, _ := json.Marshal(was)
	y, _ := json.Marshal(is)
	if string(x) == string(y) {
		return ""
	}
	return fmt.Sprintf("%s: was %s, is %s", path, clip(x), clip(y))
}

func clip(b []byte) string {
	if len(b) > 80 {
		return string(b[:77]) + "…"
	}
	return string(b)
}
