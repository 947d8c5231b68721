package transformer

import "github.com/heirloom-sim/heirloom/lineage"

// roleToken is the token that opens a turn. Developers speak as the system;
// whoever is neither that nor the assistant speaks as the user.
func roleToken(role string) int32 {
	switch role {
	case "assistant":
		return assistantTurn
	case "system", "developer":
		return systemTurn
	}
	return userTurn
}

// span is a document as tokens, and which of them are learned or scored: its
// turns one after the other, each opened by its role and closed by the end of
// turn.
type span struct {
	tokens  []int32
	learned []bool
}

// document writes a conversation. The assistant's turns are learned, with the
// end of turn and without the role that opens them, or all tokens but the first.
func (e *encoder) document(messages []lineage.Message, all bool) span {
	var s span
	for _, m := range messages {
		learn := all || m.Role == "assistant"
		s.tokens = append(e.text(append(s.tokens, roleToken(m.Role)), m.Content), endOfTurn)
		s.learned = append(s.learned, all && len(s.learned) > 0)
		for len(s.learned) < len(s.tokens) {
			s.learned = append(s.learned, learn)
		}
	}
	return s
}

// prompt writes a conversation up to where the assistant begins to speak.
func (e *encoder) prompt(messages []lineage.Message) []int32 {
	return append(e.document(messages, false).tokens, assistantTurn)
}

// window is a sequence of tokens, and which of tokens[1:] are learned.
type window struct {
	tokens  []int32
	learned []bool
	count   int // of the learned
}

// windows cuts a document into sequences of at most context+1 tokens, such that
// every learned token is predicted in exactly one of them. A document that is
// longer begins anew every ¾ of a context: the first quarter of each later
// sequence is read and not learned, so that no token is predicted from less than
// that. Sequences in which nothing is learned are left out.
func (s span) windows(context int) (all []window) {
	for from, start := 0, 1; start < len(s.tokens); {
		to := min(from+context+1, len(s.tokens))
		w := window{tokens: s.tokens[from:to:to], learned: make([]bool, to-from-1)}
		for t := start; t < to; t++ {
			if s.learned[t] {
				w.learned[t-from-1] = true
				w.count++
			}
		}
		if w.count > 0 {
			all = append(all, w)
		}
		start, from = to, to-1-context/4
	}
	return all
}
