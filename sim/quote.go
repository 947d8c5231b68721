package sim

import (
	"math"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Estimates of tokens. The text of a source is counted; what a model has not yet
// written is taken to be as long as it may be.
const (
	charsToken    = 3.5  // characters a token of English text
	turnTokens    = 4    // what a chat template puts around a message
	unboundAnswer = 1024 // tokens of an answer without max_tokens, as a part of later text
	counted       = 2000 // documents of a source that are counted
)

// work is the size of what a node asks of its backend.
func (s *Study) work(j *job) lineage.Work {
	w := lineage.Work{Learner: j.Learner, Documents: s.documents(j)}
	w.TrainTokens = int(math.Ceil(float64(w.Documents) * s.mean(j)))
	bounded := true
	for _, part := range []struct {
		p *prompts
		a asking
	}{{j.shape.publish, j.Publish}, {j.questions, j.Probe}} {
		if part.p == nil || part.a.Count == 0 {
			continue
		}
		bounded = bounded && part.a.MaxTokens > 0
		requests, prompt, answer := part.p.tokens(part.a)
		w.Requests, w.PromptTokens, w.AnswerTokens = w.Requests+requests, w.PromptTokens+prompt, w.AnswerTokens+answer
	}
	if !bounded {
		w.AnswerTokens = 0
	}
	return w
}

// documents is how many a node is trained on.
func (s *Study) documents(j *job) (n int) {
	for _, b := range j.Blocks {
		if b.Count != whole {
			n += b.Count
			continue
		}
		for _, seg := range b.Segments {
			n += s.length(j, seg)
		}
	}
	return n
}

// length is how many documents a segment has to draw from.
func (s *Study) length(j *job, seg segment) int {
	switch {
	case seg.Ref < 0:
		return s.resources.byDigest(seg.Digest).Len()
	case seg.Corpus:
		return s.documents(s.byID[j.nodes[seg.Ref]])
	}
	return s.byID[j.nodes[seg.Ref]].Publish.Count
}

// mean is the tokens of a document of a node's corpus, 0 of an empty one.
func (s *Study) mean(j *job) float64 {
	if m, ok := s.means[j.digest]; ok {
		return m
	}
	sum, n := 0.0, 0.0
	for _, b := range j.Blocks {
		tokens, pool := 0.0, 0.0
		for _, seg := range b.Segments {
			k := float64(s.length(j, seg))
			tokens, pool = tokens+k*s.document(j, seg), pool+k
		}
		count := float64(b.Count)
		if b.Count == whole {
			count = pool
		}
		if pool > 0 {
			sum, n = sum+count*tokens/pool, n+count
		}
	}
	m := sum / math.Max(n, 1)
	s.means[j.digest] = m
	return m
}

// document is the tokens of a document of a segment.
func (s *Study) document(j *job, seg segment) float64 {
	switch {
	case seg.Ref < 0:
		return s.resources.byDigest(seg.Digest).tokens()
	case seg.Corpus:
		return s.mean(s.byID[j.nodes[seg.Ref]])
	}
	of := s.byID[j.nodes[seg.Ref]]
	if of.Publish.Count == 0 {
		return 0
	}
	p, a := of.shape.publish, of.Publish
	if a.MaxTokens == 0 {
		a.MaxTokens = unboundAnswer
	}
	sum := 0
	for _, c := range p.Conversations {
		for _, m := range c {
			sum += tokens(m)
			if m.Role == "user" {
				sum += turnTokens + a.MaxTokens
			}
		}
	}
	return float64(sum) / float64(len(p.Conversations))
}

// tokens estimates those of a message.
func tokens(m lineage.Message) int {
	return turnTokens + int(math.Ceil(float64(utf8.RuneCountInString(m.Content))/charsToken))
}

// tokens estimates those of a document of the source, from some that lie evenly in
// it; 0 where it cannot be read.
func (s *source) tokens() float64 {
	if s.mean > 0 || s.Len() == 0 {
		return s.mean
	}
	n := min(s.Len(), counted)
	sum := 0
	for i := range n {
		doc, err := s.Document(int(int64(i) * int64(s.Len()) / int64(n)))
		if err != nil {
			return 0
		}
		for _, m := range doc.Messages {
			sum += tokens(m)
		}
	}
	s.mean = float64(sum) / float64(n)
	return s.mean
}

// tokens counts the requests of so many conversations, one a user turn, and what
// they hold: each sends what was said before it. answer is 0 where it has no bound.
func (p *prompts) tokens(a asking) (requests, prompt, answer int) {
	reply := a.MaxTokens
	if reply == 0 {
		reply = unboundAnswer
	}
	for i, c := range p.Conversations {
		times := a.Count / len(p.Conversations)
		if i < a.Count%len(p.Conversations) {
			times++
		}
		before := 0
		for _, m := range c {
			before += tokens(m)
			if m.Role == "user" {
				requests, prompt, answer = requests+times, prompt+times*before, answer+times*a.MaxTokens
				before += turnTokens + reply
			}
		}
	}
	return requests, prompt, answer
}
