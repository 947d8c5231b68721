package sim

import (
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// stored reads what models of a ledger wrote, without the experiment that made them.
// It is used by one goroutine.
type stored struct {
	ledger  lineage.Ledger
	prompts map[string]*prompts
	last    lineage.Key
	texts   lineage.Texts
}

func newStored(l lineage.Ledger) *stored {
	return &stored{ledger: l, prompts: map[string]*prompts{}}
}

// part gives how many outputs or probes a node has, and what they answer; p is nil
// where there are none.
func (s *stored) part(n lineage.Node, part string) (count int, p *prompts, err error) {
	count, digest := n.Outputs, n.Prompts
	if part == lineage.Probes {
		count, digest = n.Probes, n.Questions
	}
	if count == 0 || digest == "" {
		return 0, nil, nil
	}
	if p = s.prompts[digest]; p != nil {
		return count, p, nil
	}
	p = &prompts{digest: digest}
	key := lineage.PromptsKey(digest)
	if ok, err := s.ledger.Load(key, &p.Prompts); err != nil || !ok {
		return 0, nil, missing(key, err)
	}
	if len(p.Conversations) == 0 {
		return 0, nil, fmt.Errorf("%s: holds no prompt", key)
	}
	s.prompts[digest] = p
	return count, p, nil
}

// chunk gives one chunk of what a node wrote.
func (s *stored) chunk(id lineage.ID, part string, c int) (lineage.Texts, error) {
	key := lineage.TextsKey(part, id, c)
	if key == s.last {
		return s.texts, nil
	}
	s.last = ""
	if ok, err := s.ledger.Load(key, &s.texts); err != nil || !ok {
		return nil, missing(key, err)
	}
	s.last = key
	return s.texts, nil
}

// conversation gives one text of a node in its conversation.
func (s *stored) conversation(n lineage.Node, part string, index int) ([]lineage.Message, error) {
	_, p, err := s.part(n, part)
	if err != nil {
		return nil, err
	}
	texts, err := s.chunk(n.ID, part, index/lineage.ChunkSize)
	if err != nil {
		return nil, err
	}
	at := index % lineage.ChunkSize
	if at >= len(texts) {
		return nil, fmt.Errorf("%s: has no text %d", lineage.TextsKey(part, n.ID, index/lineage.ChunkSize), at)
	}
	return conversation(p.Conversations[index%len(p.Conversations)], texts[at].Replies), nil
}

// nodesOf loads the distinct nodes of a study that exist, in the order of its arms,
// and counts those that do not.
func nodesOf(l lineage.Ledger, study lineage.Study, wanted func(arm, line string) bool) (nodes []lineage.Node, absent int, err error) {
	seen := map[lineage.ID]bool{}
	for _, arm := range study.Arms {
		for i, replicates := range arm.Nodes {
			if !wanted(arm.Name, study.Lines[i]) {
				continue
			}
			for _, ids := range replicates {
				for _, id := range ids {
					if seen[id] {
						continue
					}
					seen[id] = true
					var n lineage.Node
					ok, err := l.Load(lineage.NodeKey(id), &n)
					if err != nil {
						return nil, 0, err
					}
					if !ok {
						absent++
						continue
					}
					if !n.Made() {
						continue // a provider blocked it: there is nothing to look at, and never will be
					}
					nodes = append(nodes, n)
				}
			}
		}
	}
	return nodes, absent, nil
}
