package sim

import (
	"fmt"
	"iter"

	"github.com/heirloom-sim/heirloom/lineage"
)

// lessons are the corpus of a node as its training sees it: without origins, with
// the rejected sides of pairs, sanitised, and with its inoculation prompts.
type lessons struct {
	*job
	study   *Study
	ledger  lineage.Ledger
	corpus  []*strand
	words   *neighbours // of the corpus, where words are to be replaced
	streams [][]stream  // of sanitising, by strand
}

// examples ranges over a corpus in the order of its strands. It may be ranged
// over more than once.
func (s *Study) examples(ledger lineage.Ledger, j *job, corpus []*strand) iter.Seq2[lineage.Example, error] {
	l := &lessons{job: j, study: s, ledger: ledger, corpus: corpus}
	return func(yield func(lineage.Example, error) bool) {
		if err := l.prepare(); err != nil {
			yield(lineage.Example{}, err)
			return
		}
		r, other := &reader{ledger: ledger}, &reader{ledger: ledger}
		for at, s := range corpus {
			for n := range s.Indices {
				e, err := l.example(r, other, at, n)
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// prepare reads the corpus once where other words are wanted, and names the
// randomness of each strand.
func (l *lessons) prepare() error {
	if l.streams != nil || len(l.Sanitise) == 0 {
		return nil
	}
	for _, e := range l.Sanitise {
		if e.Words > 0 && l.words == nil {
			words, err := l.neighbourhood()
			if err != nil {
				return err
			}
			l.words = words
		}
	}
	streams := make([][]stream, len(l.corpus))
	for i, s := range l.corpus {
		for k := range l.Sanitise {
			purpose := fmt.Sprintf("sanitise %d %s", k, l.study.label(s))
			streams[i] = append(streams[i], at(l.Seed, purpose, l.Line, l.replicate, l.Generation))
		}
	}
	l.streams = streams
	return nil
}

// example gives document n of a strand. The rejected sides are read by a reader
// of their own, so that neither loses its chunk.
func (l *lessons) example(r, other *reader, at, n int) (lineage.Example, error) {
	s := l.corpus[at]
	e := lineage.Example{Weight: 1}
	messages, rejected, err := r.document(s, s.Indices[n])
	if err != nil {
		return e, err
	}
	e.Messages = l.seen(messages, at, n, s.Indices[n])
	if l.Learner != lineage.Preference {
		return e, nil
	}
	against := s.Indices[n]
	if s.Rejected != nil {
		against = s.Rejected[n]
		if rejected, err = other.messages(s, against); err != nil {
			return e, err
		}
	}
	if rejected == nil {
		return e, fmt.Errorf("sources.%s: document %d has no rejected side, and learning by preference needs one of every document", s.Source, s.Indices[n]+1)
	}
	e.Rejected = l.seen(rejected, at, n, against)
	return e, nil
}

// seen is a conversation as training sees it: position n of a strand, and the
// document that its randomness goes by.
func (l *lessons) seen(messages []lineage.Message, at, n int, document uint32) []lineage.Message {
	s := l.corpus[at]
	for k, edit := range l.Sanitise {
		if edit.OutputsOnly && s.Node == "" {
			continue
		}
		messages = edit.apply(messages, l.words, l.streams[at][k].rand(int(document)))
	}
	if s.Prompts != nil {
		messages = l.Inoculate.before(messages, s.Prompts[n])
	}
	return messages
}
