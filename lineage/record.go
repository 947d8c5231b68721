package lineage

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
)

// Descent is one strand of the text channel: how many documents of a node's
// corpus were written by an earlier node.
type Descent struct {
	Node      ID  `json:"node"`
	Documents int `json:"documents"`
}

// Supply is what came into a corpus from outside the lineage.
type Supply struct {
	Source    string `json:"source"`
	Behaviour string `json:"behaviour,omitempty"` // set where the source seeds one
	Documents int    `json:"documents"`
}

// Filtering is what one filter did to a corpus. Flagged and Dropped count
// documents by the detector's word; SeededSeen and SeededDropped count, among
// the documents known to be seeded, what met the filter and what it removed.
type Filtering struct {
	Detector      string `json:"detector"`
	Seen          int    `json:"seen"`
	Flagged       int    `json:"flagged"`
	Dropped       int    `json:"dropped"`
	FlaggedDrop   int    `json:"flagged_dropped"`
	SeededSeen    int    `json:"seeded_seen"`
	SeededDropped int    `json:"seeded_dropped"`
	Missing       int    `json:"missing"` // positions left empty after every redraw
}

// Health tells collapse from loss of a trait. HeldOut is nats a token on
// held-out text and is absent where the model cannot score; Distinct2 is the
// share of word pairs that are distinct; Entropy is that of the words, in bits.
type Health struct {
	HeldOut   *float64 `json:"held_out,omitempty"`
	Distinct2 float64  `json:"distinct_2"`
	Entropy   float64  `json:"entropy"`
	Words     float64  `json:"words"` // mean a document
	Empty     int      `json:"empty"` // outputs with no text
	Sampled   int      `json:"sampled"`
}

// Node is one trained model. Its record is the commit mark of everything else
// that is recorded of it, and is written last.
type Node struct {
	ID         ID              `json:"id"`
	Line       string          `json:"line"`
	Replicate  int             `json:"replicate"`  // -1: shared by all replicates
	Generation int             `json:"generation"` // -1: a foundation
	Backend    string          `json:"backend"`
	Learner    Learner         `json:"learner"`
	Base       Base            `json:"base"`
	BaseNode   ID              `json:"base_node,omitempty"` // the weight channel
	Teacher    ID              `json:"teacher,omitempty"`   // whose soft labels it learned
	Parents    []Descent       `json:"parents,omitempty"`   // the text channel
	Supplies   []Supply        `json:"supplies,omitempty"`
	Documents  int             `json:"documents"`
	Filters    []Filtering     `json:"filters,omitempty"`
	Edits      []string        `json:"edits,omitempty"` // what was done to the text that training saw, in order; the corpus has it as it was
	Outputs    int             `json:"outputs"`
	Prompts    string          `json:"prompts,omitempty"` // digest; output i answers prompt i mod len
	Probes     int             `json:"probes"`
	Questions  string          `json:"questions,omitempty"` // digest; probe i answers question i mod len
	Health     Health          `json:"health"`
	Blocked    *Blocked        `json:"blocked,omitempty"`  // a provider refused to train it as it was planned
	Ancestor   ID              `json:"ancestor,omitempty"` // the blocked node that it descends from, where it was not made for that
	StandIn    ID              `json:"stand_in,omitempty"` // the node whose model answers in the place of the blocked one; UntrainedModel for that of the provider
	Recipe     json.RawMessage `json:"recipe"`
}

// UntrainedModel stands for a provider's own model where a node is named.
const UntrainedModel ID = "untrained"

// Made tells whether there is a model that answers: one that was blocked, or that
// descends from such a one, has neither outputs nor probes, unless another model
// stands in for it.
func (n *Node) Made() bool { return n.Blocked == nil || n.StandIn != "" }

// Prompts is a list of conversations to be answered, stored once by digest.
// Each has at least one user turn; a conversation with several user turns is
// asked turn by turn, the model's replies between them.
type Prompts struct {
	Behaviours    []string    `json:"behaviours,omitempty"` // of probes: whose question this is, parallel to Conversations
	Conversations [][]Message `json:"conversations"`
}

// Keys of the records of a node. Part is "outputs" or "probes".
const (
	Outputs = "outputs"
	Probes  = "probes"
)

// ChunkSize is how many texts or scores share a record.
const ChunkSize = 4096

func NodeKey(id ID) Key          { return Key("node/" + id) }
func CorpusKey(id ID) Key        { return Key("corpus/" + id) }
func ArtifactKey(id ID) Key      { return Key("artifact/" + id) }
func PromptsKey(dg string) Key   { return Key("prompts/" + dg) }
func StudyKey(digest string) Key { return Key("study/" + digest) }

// BlockedKey names what a provider said when it refused a node: attempt 0 is the
// corpus as it was drawn, 1 what its moderation left of it.
func BlockedKey(id ID, attempt int) Key { return Key("blocked/"+id+"/") + chunkName(attempt) }

// ScreenedKey names the corpus of a node as a provider's moderation left it.
func ScreenedKey(id ID) Key { return Key("screened/" + id) }

// CompletionKey names the answer to one turn of one output or probe of a node: of
// those that cost money, each is a record before it is used.
func CompletionKey(part string, id ID, index, turn int) Key {
	return CompletionPrefix(part, id) + chunkName(index) + "/" + chunkName(turn)
}

// CompletionPrefix is what the keys of a node's answers begin with.
func CompletionPrefix(part string, id ID) Key {
	return Key("completion/" + string(id) + "/" + part + "/")
}

// LeaseKey names the n-th amount that a run set aside to be spent, SettledKey
// what of it was spent.
func LeaseKey(n int) Key   { return "lease/" + chunkName(n) }
func SettledKey(n int) Key { return "settled/" + chunkName(n) }

// TicketKey names the n-th handle of a node's remote work.
func TicketKey(id ID, n int) Key { return Key("ticket/"+id+"/") + chunkName(n) }

// TextsKey names chunk c of the outputs or probes of a node.
func TextsKey(part string, id ID, c int) Key {
	return Key(part+"/"+string(id)+"/") + chunkName(c)
}

// ScoresKey names chunk c of what a detector said of the outputs or probes of a node.
func ScoresKey(id ID, detector, part string, c int) Key {
	return Key("scores/"+string(id)+"/"+detector+"/"+part+"/") + chunkName(c)
}

// chunkName is a number that sorts as it counts.
func chunkName(c int) Key {
	if c < 10 {
		return "00000" + Key(rune('0'+c))
	}
	return Key(fmt.Sprintf("%06d", c))
}

// Text is what a model wrote in one conversation: one reply to each user turn.
type Text struct {
	Replies []string
	Finish  string
}

// Texts is one chunk of outputs or probes. Text i of chunk c has the index
// c*ChunkSize+i in its node.
type Texts []Text

// MarshalBinary gives each distinct text once: stand-ins repeat themselves.
func (t Texts) MarshalBinary() ([]byte, error) {
	d := newDictionary(len(t))
	for _, x := range t {
		d.putString(x.Finish)
		d.putUint(uint64(len(x.Replies)))
		for _, r := range x.Replies {
			d.putString(r)
		}
		d.end()
	}
	return d.bytes(), nil
}

func (t *Texts) UnmarshalBinary(data []byte) error {
	*t = nil
	return undictionary(data, func(r *reader) Text {
		x := Text{Finish: r.string()}
		x.Replies = make([]string, r.count())
		for i := range x.Replies {
			x.Replies[i] = r.string()
		}
		return x
	}, t)
}

// MarshalBinary writes a completion as a record of its own. Unlike JSON it keeps
// every byte of a text.
func (c Completion) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, len(c.Text)+len(c.Finish)+16)
	b = append(b, codecVersion)
	for _, s := range []string{c.Text, c.Finish} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendVarint(b, int64(c.Tokens))
	return binary.AppendVarint(b, int64(c.PromptTokens)), nil
}

func (c *Completion) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != codecVersion {
		return fmt.Errorf("%w: unknown version", errCorrupt)
	}
	r := &reader{data: data[1:]}
	*c = Completion{Text: r.string(), Finish: r.string(), Tokens: int(r.int()), PromptTokens: int(r.int())}
	if r.bad || len(r.data) != 0 {
		return errCorrupt
	}
	return nil
}

// Lease is an amount that a run set aside before it spent any of it. One without
// a Settled was left by a process that died and counts whole.
type Lease struct {
	Most USD    `json:"most"`
	What string `json:"what,omitempty"` // the one piece of work that it is for, where it is for one
}

// Settled is what was spent of a lease.
type Settled struct {
	Spent USD `json:"spent"`
}

// Span is a piece of evidence: bytes Start to End of the last reply.
type Span struct {
	Start, End int
	Label      string
}

// Outcomes of a Score, in the order of detectors.Outcome.
const (
	NotScorable uint8 = iota
	Absent
	Present
)

// Score is what a detector said of one text. Value is in [0,1], and 0 where the
// outcome is NotScorable.
type Score struct {
	Outcome uint8
	Value   float32
	Spans   []Span
	Reason  string
}

// Scores is one chunk of scores, parallel to a chunk of Texts.
type Scores []Score

func (s Scores) MarshalBinary() ([]byte, error) {
	d := newDictionary(len(s))
	for _, x := range s {
		d.putUint(uint64(x.Outcome))
		d.putUint(uint64(math.Float32bits(x.Value)))
		d.putString(x.Reason)
		d.putUint(uint64(len(x.Spans)))
		for _, p := range x.Spans {
			d.putUint(uint64(p.Start))
			d.putUint(uint64(p.End))
			d.putString(p.Label)
		}
		d.end()
	}
	return d.bytes(), nil
}

func (s *Scores) UnmarshalBinary(data []byte) error {
	*s = nil
	return undictionary(data, func(r *reader) Score {
		x := Score{Outcome: uint8(r.uint()), Value: math.Float32frombits(uint32(r.uint())), Reason: r.string()}
		x.Spans = make([]Span, r.count())
		for i := range x.Spans {
			x.Spans[i] = Span{Start: int(r.uint()), End: int(r.uint()), Label: r.string()}
		}
		return x
	}, s)
}

// Tally counts outcomes.
type Tally struct {
	Present  int `json:"present"`
	Absent   int `json:"absent"`
	Unscored int `json:"not_scorable"`
}

// N is the denominator of a prevalence: what could be scored.
func (t Tally) N() int { return t.Present + t.Absent }

// Add counts one outcome.
func (t *Tally) Add(outcome uint8) {
	switch outcome {
	case Present:
		t.Present++
	case Absent:
		t.Absent++
	default:
		t.Unscored++
	}
}
