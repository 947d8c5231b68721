package sim

import (
	"context"
	"math"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// score has every detector judge a chunk. What is recorded already stays. An
// answer depends on its utterance alone, so of equal ones one is judged.
func (m *making) score(ctx context.Context, part string, p *prompts, c int, texts lineage.Texts) error {
	var us []detectors.Utterance
	var of []int // which utterance a text is
	for _, d := range m.Study.detectors {
		key := lineage.ScoresKey(m.id, d.Digest, part, c)
		if ok, err := m.recorded(key, new(lineage.Raw)); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		if us == nil {
			us, of = utterances(p, c*lineage.ChunkSize, texts)
		}
		scores, err := d.scores(ctx, us, of)
		if err != nil {
			return err
		}
		if err := m.Ledger.Save(key, scores); err != nil {
			return err
		}
	}
	return nil
}

// scores judges the distinct conversations of a chunk and gives each text the score
// of its own.
func (d *Detector) scores(ctx context.Context, us []detectors.Utterance, of []int) (lineage.Scores, error) {
	judged := make([]lineage.Score, 0, len(us))
	const batch = 512
	for first := 0; first < len(us); first += batch {
		results, err := d.detect(ctx, us[first:min(first+batch, len(us))])
		if err != nil {
			return nil, err
		}
		for _, r := range results {
			judged = append(judged, outcome(r))
		}
	}
	scores := make(lineage.Scores, len(of))
	for i := range scores {
		scores[i] = judged[of[i]]
	}
	return scores, nil
}

// utterances gives the distinct conversations of a chunk whose first text has
// the given index, and for each text which of them it is.
func utterances(p *prompts, first int, texts lineage.Texts) (us []detectors.Utterance, of []int) {
	known := make(map[said]int, min(len(texts), 8))
	of = make([]int, len(texts))
	for i, t := range texts {
		prompt := (first + i) % len(p.Conversations)
		key := said{prompt, t.Replies[0]}
		at, ok := known[key]
		if !ok || len(t.Replies) > 1 {
			at = len(us)
			known[key] = at
			us = append(us, detectors.Utterance{Messages: conversation(p.Conversations[prompt], t.Replies)})
		}
		of[i] = at
	}
	return us, of
}

// scoreAgain scores a committed node by detectors that are new to it.
func (m *making) scoreAgain(ctx context.Context) error {
	for _, a := range []struct {
		part string
		p    *prompts
		n    int
	}{{lineage.Outputs, m.shape.publish, m.Publish.Count}, {lineage.Probes, m.questions, m.Probe.Count}} {
		for c := 0; c*lineage.ChunkSize < a.n; c++ {
			if m.scored(a.part, c) {
				continue
			}
			var texts lineage.Texts
			key := lineage.TextsKey(a.part, m.id, c)
			if ok, err := m.Ledger.Load(key, &texts); err != nil || !ok {
				return missing(key, err)
			}
			if err := m.score(ctx, a.part, a.p, c, texts); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *making) scored(part string, c int) bool {
	for _, d := range m.Study.detectors {
		var have lineage.Raw
		if ok, err := m.Ledger.Load(lineage.ScoresKey(m.id, d.Digest, part, c), &have); err != nil || !ok {
			return false
		}
	}
	return true
}

// outcome is a detector's result as the ledger records it.
func outcome(r detectors.Result) lineage.Score {
	s := lineage.Score{Outcome: uint8(r.Outcome), Reason: r.Reason}
	if r.Outcome != detectors.NotScorable {
		s.Value = float32(math.Min(1, math.Max(0, r.Score)))
	}
	for _, x := range r.Spans {
		s.Spans = append(s.Spans, lineage.Span(x))
	}
	return s
}
