package sim

import (
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// strand is one pool that documents of a corpus come from: the outputs of a
// node, or a source from outside.
type strand struct {
	lineage.Strand
	source *source  // of a source
	asked  *prompts // of a node: what its outputs answer
}

// chunk is a decoded chunk of outputs.
type chunk struct {
	id    lineage.ID
	index int
	texts lineage.Texts
}

// reader fetches documents of strands. Fetched in ascending order, each chunk
// of outputs is read once. It is used by one goroutine.
type reader struct {
	ledger lineage.Ledger
	last   chunk
	of     *prompts
	told   map[said][]lineage.Message // a few conversations: stand-ins repeat themselves
}

// said is a prompt, by its index among those of a node, with a reply.
type said struct {
	prompt int
	reply  string
}

// messages gives document i of a strand.
func (r *reader) messages(s *strand, i uint32) ([]lineage.Message, error) {
	messages, _, err := r.document(s, i)
	return messages, err
}

// document gives document i of a strand, and its rejected side where it stands in
// a source of pairs.
func (r *reader) document(s *strand, i uint32) (messages, rejected []lineage.Message, err error) {
	if s.source != nil {
		doc, err := s.source.Document(int(i))
		return doc.Messages, doc.Rejected, err
	}
	messages, err = r.output(s, i)
	return messages, nil, err
}

func (r *reader) output(s *strand, i uint32) ([]lineage.Message, error) {
	c := int(i) / lineage.ChunkSize
	if r.last.id != s.Node || r.last.index != c {
		r.last = chunk{id: s.Node, index: c}
		key := lineage.TextsKey(lineage.Outputs, s.Node, c)
		if ok, err := r.ledger.Load(key, &r.last.texts); err != nil || !ok {
			r.last = chunk{}
			return nil, missing(key, err)
		}
	}
	at := int(i) % lineage.ChunkSize
	if at >= len(r.last.texts) {
		return nil, fmt.Errorf("%s: has no text %d", lineage.TextsKey(lineage.Outputs, s.Node, c), at)
	}
	return r.conversation(s.asked, int(i)%len(s.asked.Conversations), r.last.texts[at].Replies), nil
}

func (r *reader) conversation(asked *prompts, prompt int, replies []string) []lineage.Message {
	key := said{prompt, replies[0]}
	messages, ok := r.told[key]
	if !ok || len(replies) > 1 || r.of != asked {
		if r.told == nil || len(r.told) == 64 || r.of != asked {
			r.told, r.of = make(map[said][]lineage.Message, 8), asked
		}
		messages = conversation(asked.Conversations[prompt], replies)
		r.told[key] = messages
	}
	return messages
}

func missing(key lineage.Key, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return fmt.Errorf("%s: is not in the ledger, though the node that it belongs to is", key)
}

// conversation puts the replies after the user turns that they answer.
func conversation(asked []lineage.Message, replies []string) []lineage.Message {
	out := make([]lineage.Message, 0, len(asked)+len(replies))
	for _, m := range asked {
		out = append(out, m)
		if m.Role == "user" && len(replies) > 0 {
			out = append(out, lineage.Message{Role: "assistant", Content: replies[0]})
			replies = replies[1:]
		}
	}
	return out
}

// stretch is a run of a pool that lies in one strand: documents First to
// First+Len-1 of it, or those that Indices name.
type stretch struct {
	strand  int
	len     int
	indices []uint32 // nil: 0 to len-1
}

// pool is a block's pool: its stretches one after the other.
type pool []stretch

func (p pool) len() (n int) {
	for _, s := range p {
		n += s.len
	}
	return n
}

// at gives the strand and the index in it of document i.
func (p pool) at(i int) (strand int, index uint32) {
	for _, s := range p {
		if i < s.len {
			if s.indices != nil {
				return s.strand, s.indices[i]
			}
			return s.strand, uint32(i)
		}
		i -= s.len
	}
	panic("sim: a draw lies outside its pool")
}

type strandName struct {
	node              lineage.ID
	digest, behaviour string
}
