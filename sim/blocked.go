package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// What is done about a node that a provider blocks. To stop is the default, since
// the other two make another experiment of it.
const (
	onBlockedStop = "stop" // it is recorded as blocked, and what descends from it is not made
	onBlockedSkip = "skip" // the model before it stands in
	onBlockedDrop = "drop" // what the provider's moderation flags is dropped, and it is trained once more
)

// screenedSuffix is added to the name of the training that follows on a moderation.
const screenedSuffix = "-screened"

// trained gives the node's weights, nil where it was blocked and nothing stands in.
// What a provider said is recorded before anything follows from it.
func (m *making) trained(ctx context.Context) (lineage.Artifact, error) {
	screened, err := m.screened()
	if err != nil {
		return nil, err
	}
	attempt := 0
	if screened {
		attempt = 1
	}
	refused, err := m.refusal(attempt)
	if err != nil {
		return nil, err
	}
	if refused == nil {
		art, err := m.tried(ctx, attempt)
		if !errors.As(err, &refused) {
			return art, err
		}
		if err := m.Ledger.Save(lineage.BlockedKey(m.id, attempt), refused); err != nil {
			return nil, err
		}
	}
	switch {
	case m.OnBlocked == onBlockedSkip:
		return m.standIn(ctx, refused)
	case m.OnBlocked == onBlockedDrop && attempt == 0:
		if ok, err := m.screen(ctx, refused); ok || err != nil {
			if err != nil {
				return nil, err
			}
			return m.trained(ctx)
		}
	}
	m.block(refused)
	return nil, nil
}

// tried trains on the corpus as it is, or on what moderation left of it: under
// another name, for it is other work.
func (m *making) tried(ctx context.Context, attempt int) (lineage.Artifact, error) {
	name := m.id
	if attempt > 0 {
		name += screenedSuffix
	}
	return m.weights(ctx, m.job, name, m.corpus)
}

// refusal is what the provider said of an attempt, nil where it did not refuse.
func (m *making) refusal(attempt int) (*lineage.Blocked, error) {
	if m.fresh || m.retrainable() {
		return nil, nil
	}
	var b lineage.Blocked
	ok, err := m.Ledger.Load(lineage.BlockedKey(m.id, attempt), &b)
	if !ok {
		return nil, err
	}
	return &b, err
}

// block makes the node's record that of one that was not made.
func (m *making) block(by *lineage.Blocked) {
	m.node.Blocked = by
	m.node.Outputs, m.node.Probes = 0, 0
	m.tell(Event{Kind: "blocked", Node: m.id, Line: m.Line, Replicate: m.replicate, Generation: m.Generation, Err: by})
}

// standIn gives the model before a blocked one: that of the generation before,
// the foundation, or the provider's own.
func (m *making) standIn(ctx context.Context, by *lineage.Blocked) (art lineage.Artifact, err error) {
	id := lineage.UntrainedModel
	if m.before >= 0 {
		id = m.nodes[m.before]
	} else if m.from != "" {
		id = m.from
	}
	if id != lineage.UntrainedModel {
		art, err = m.artifact(ctx, m.Study.byID[id])
	} else if own, ok := m.backend.(lineage.Untrained); ok {
		art, err = own.Untrained()
	} else {
		m.block(by)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stand-in: %w", err)
	}
	m.node.Blocked, m.node.StandIn = by, id
	m.made(lineage.Drawn{}) // it learned nothing of its corpus
	if m.node.BaseNode = id; id == lineage.UntrainedModel {
		m.node.BaseNode = ""
	}
	return art, m.keep(m.job, art, false)
}

// screen has the provider's moderation look at the corpus and records what it
// left. It is false where nothing was flagged, or everything.
func (m *making) screen(ctx context.Context, by *lineage.Blocked) (bool, error) {
	screener, ok := m.backend.(lineage.Screener)
	if !ok {
		return false, nil
	}
	var docs [][]lineage.Message
	for e, err := range m.Study.examples(m.Ledger, m.job, m.corpus) {
		if err != nil {
			return false, err
		}
		docs = append(docs, e.Messages)
	}
	flagged, err := screener.Screen(ctx, docs)
	if err != nil {
		return false, cell(fmt.Errorf("screen: %w", err))
	}
	if len(flagged) == 0 || len(flagged) >= len(docs) {
		return false, nil
	}
	rec, err := m.without(flagged, by.Provider)
	if err != nil {
		return false, err
	}
	if err := m.Ledger.Save(lineage.ScreenedKey(m.id), rec); err != nil {
		return false, err
	}
	m.fresh = false
	return true, nil
}

// without gives the corpus less the flagged documents, counted as a filter counts.
func (m *making) without(flagged []int, provider string) (lineage.Drawn, error) {
	gone := map[int]bool{}
	for _, i := range flagged {
		gone[i] = true
	}
	f := lineage.Filtering{Detector: "moderation of " + provider, Missing: len(gone)}
	rec := lineage.Drawn{Filters: append(slices.Clone(m.node.Filters), f)}
	at := 0
	for _, s := range m.corpus {
		kept := s.Strand
		kept.Indices, kept.Rejected, kept.Prompts = nil, nil, nil
		for n, i := range s.Indices {
			count(&rec.Filters[len(rec.Filters)-1], gone[at], gone[at], s.Behaviour != "")
			if !gone[at] {
				kept.Indices = append(kept.Indices, i)
				if s.Rejected != nil {
					kept.Rejected = append(kept.Rejected, s.Rejected[n])
				}
				if s.Prompts != nil {
					kept.Prompts = append(kept.Prompts, s.Prompts[n])
				}
			}
			at++
		}
		if len(kept.Indices) > 0 {
			rec.Corpus = append(rec.Corpus, kept)
		}
	}
	for i := range gone {
		if i < 0 || i >= at {
			return rec, cell(fmt.Errorf("screen: document %d was flagged, and there are %d", i, at))
		}
	}
	return rec, nil
}

// screened takes over the corpus that moderation left, where there is one.
func (m *making) screened() (bool, error) {
	if m.fresh || m.OnBlocked != onBlockedDrop {
		return false, nil
	}
	var rec lineage.Drawn
	ok, err := m.Ledger.Load(lineage.ScreenedKey(m.id), &rec)
	if err != nil || !ok {
		return false, err
	}
	m.corpus, err = m.Study.strands(m.id, rec.Corpus)
	m.made(rec)
	return true, err
}
