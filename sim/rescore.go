package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"go.yaml.in/yaml/v3"
)

// Scoring has a detector judge what the models of a study wrote, after the fact:
// nothing is trained or sampled, and what it has judged already stays. It may be
// stopped at any moment and run again.
type Scoring struct {
	Ledger   lineage.Ledger
	Study    lineage.Study
	Detector *Detector
	Workers  int                   // how many models are scored at once
	Report   func(done, total int) // models, from one goroutine at a time; may be nil
}

// Work is what a Scoring has to do.
type Work struct {
	Models   int // of the study that exist
	Absent   int // of the study that do not exist yet
	Texts    int // outputs and probes that have no score
	Scored   int // that have one
	Ask      int // conversations that the detector is asked about: of equal ones of a model, one
	Requests int // at most, to a server; 0 for a detector without one
}

var judgedParts = []string{lineage.Outputs, lineage.Probes}

func everything(string, string) bool { return true }

// Work counts what Run would do. It reads every text that has no score.
func (s *Scoring) Work() (w Work, err error) {
	nodes, absent, err := nodesOf(s.Ledger, s.Study, everything)
	if err != nil {
		return w, err
	}
	w.Models, w.Absent = len(nodes), absent
	from := newStored(s.Ledger)
	priced, knows := s.Detector.Detector.(detectors.Priced)
	for _, n := range nodes {
		err := s.chunks(from, n, func(_ lineage.Key, texts int, us []detectors.Utterance, _ []int) error {
			if us == nil {
				w.Scored += texts
				return nil
			}
			w.Texts += texts
			w.Ask += len(us)
			switch {
			case knows:
				w.Requests += priced.Requests(us)
			case s.Detector.Server:
				w.Requests += len(us)
			}
			return nil
		})
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// Run scores. Models that do not exist yet are left out.
func (s *Scoring) Run(ctx context.Context) error {
	nodes, _, err := nodesOf(s.Ledger, s.Study, everything)
	if err != nil {
		return err
	}
	var report sync.Mutex
	done := 0
	return each(ctx, len(nodes), max(s.Workers, 1), func(ctx context.Context, i int) error {
		err := s.chunks(newStored(s.Ledger), nodes[i], func(key lineage.Key, _ int, us []detectors.Utterance, of []int) error {
			if us == nil {
				return nil
			}
			scores, err := s.Detector.scores(ctx, us, of)
			if err != nil {
				return err
			}
			return s.Ledger.Save(key, scores)
		})
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
				return err
			}
			return fmt.Errorf("%s replicate %d generation %d: %w", nodes[i].Line, nodes[i].Replicate, nodes[i].Generation, err)
		}
		report.Lock()
		defer report.Unlock()
		if done++; s.Report != nil {
			s.Report(done, len(nodes))
		}
		return nil
	})
}

// chunks goes over the chunks of a node: the key of their scores, their number of
// texts, and what is to be judged, nil where the scores exist.
func (s *Scoring) chunks(from *stored, n lineage.Node, each func(key lineage.Key, texts int, us []detectors.Utterance, of []int) error) error {
	for _, part := range judgedParts {
		count, p, err := from.part(n, part)
		if err != nil {
			return err
		}
		for c := 0; c*lineage.ChunkSize < count; c++ {
			key := lineage.ScoresKey(n.ID, s.Detector.Digest, part, c)
			have, err := s.Ledger.Load(key, new(lineage.Raw))
			if err != nil {
				return err
			}
			if have {
				if err := each(key, min(lineage.ChunkSize, count-c*lineage.ChunkSize), nil, nil); err != nil {
					return err
				}
				continue
			}
			texts, err := from.chunk(n.ID, part, c)
			if err != nil {
				return err
			}
			us, of := utterances(p, c*lineage.ChunkSize, texts)
			if err := each(key, len(texts), us, of); err != nil {
				return err
			}
		}
	}
	return nil
}

// WithDetector gives the study that also watches a behaviour by a detector, after
// those that it has. It is the study itself where it does so already.
func WithDetector(study lineage.Study, behaviour string, d *Detector) (lineage.Study, error) {
	var names []string
	for _, b := range study.Behaviours {
		names = append(names, b.Name)
	}
	at := slices.Index(names, behaviour)
	if at < 0 {
		return study, errors.New(unknown("behaviour", behaviour, names))
	}
	known := slices.IndexFunc(study.Detectors, func(x lineage.Detector) bool { return x.Name == d.Name })
	if known >= 0 && study.Detectors[known].Digest != d.Digest {
		return study, fmt.Errorf("the study has a detector %q with other settings; give this one a name of its own", d.Name)
	}
	if known >= 0 && slices.Contains(study.Behaviours[at].Detectors, d.Name) {
		return study, nil
	}
	if known < 0 {
		study.Detectors = append(slices.Clone(study.Detectors), d.record())
	}
	study.Behaviours = slices.Clone(study.Behaviours)
	b := &study.Behaviours[at]
	b.Detectors = append(slices.Clone(b.Detectors), d.Name)
	text, err := withDetector(study.Experiment, behaviour, b.Detectors, d)
	if err != nil {
		return study, fmt.Errorf("the experiment of study %.12s: %w", study.Digest, err)
	}
	study.Experiment = text
	study.Digest = recordDigest(study)
	return study, nil
}

// withDetector writes a detector into the text of an experiment.
func withDetector(experiment, behaviour string, names []string, d *Detector) (string, error) {
	var found faults
	root := parseTree("experiment.yaml", "an experiment", []byte(experiment), &found)
	if root == nil {
		return "", found.err()
	}
	var settings map[string]any
	if err := yaml.Unmarshal(canonical(d.spec.Config), &settings); err != nil {
		return "", err
	}
	if settings == nil {
		settings = map[string]any{}
	}
	settings["kind"] = d.Kind
	var patch yaml.Node
	err := patch.Encode(map[string]any{
		"detectors":  map[string]any{d.Name: settings},
		"behaviours": map[string]any{behaviour: map[string]any{"detectors": names}},
	})
	if err != nil {
		return "", err
	}
	if old := get(root, "detectors"); get(old, d.Name) != nil {
		_, rest := take(old, d.Name)
		_, root = take(root, "detectors")
		root = merge(root, &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "detectors"}, rest}})
	}
	text, err := yaml.Marshal(merge(root, &patch))
	return string(text), err
}
