package ngram

import (
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Weights are kept in steps of 1/weightSteps of a document.
const (
	weightSteps = 1024
	maxWeight   = 1 << 20
)

// texts is a corpus as numbers. It does not depend on the order in which the
// examples came, but for the order of turns within a part.
type texts struct {
	vocab   *vocabulary
	prompts *prompts
	tokens  []uint32 // 0, then the pieces of each turn, each turn followed by 0
	keys    []uint32 // the prompt of each turn, 0 for none
	parts   []part   // by rising weight
}

// digits are those of a piece's number, in bits.
func (t *texts) digits() int { return bits.Len(uint(t.vocab.size() - 1)) }

// part is a run of turns of one weight; it ends before token end and turn turns.
type part struct {
	weight uint32
	end    int
	turns  int
}

// intake reads examples.
type intake struct {
	vocab     *vocabulary
	prompts   *promptIntake
	portions  map[uint32]*portion
	tokens    int
	condition bool
}

type portion struct{ tokens, keys []uint32 }

func newIntake(condition bool) *intake {
	return &intake{vocab: newVocabulary(), prompts: newPromptIntake(), portions: map[uint32]*portion{}, condition: condition}
}

func (in *intake) portion(weight uint32) *portion {
	p := in.portions[weight]
	if p == nil {
		p = &portion{tokens: []uint32{0}}
		in.portions[weight] = p
	}
	return p
}

// reserve makes room for a corpus so many times what was read: growing step by
// step would hold it twice.
func (in *intake) reserve(times int) {
	for _, p := range in.portions {
		p.tokens = slices.Grow(p.tokens, len(p.tokens)*(times-1)+len(p.tokens)/4)
		p.keys = slices.Grow(p.keys, len(p.keys)*times)
	}
}

// steps rounds a weight to whole steps.
func steps(weight float64) (uint32, error) {
	if !(weight >= 0 && weight <= maxWeight) {
		return 0, fmt.Errorf("weight %v is not within 0 to %d", weight, maxWeight)
	}
	return uint32(math.Round(weight * weightSteps)), nil
}

// addBase puts the turns of an earlier training into an empty intake, where its
// pieces and prompts keep their numbers.
func (in *intake) addBase(base *texts, scale float64) error {
	for id := 1; id < base.vocab.size(); id++ {
		in.vocab.intern(string(base.vocab.text(uint32(id))))
	}
	if in.condition {
		in.prompts.addBase(base.prompts)
	}
	token, turn := 1, 0
	for _, part := range base.parts {
		weight, err := steps(float64(part.weight) / weightSteps * scale)
		if err != nil {
			return fmt.Errorf("ngram: base_weight: %v makes a document too heavy: %w", scale, err)
		}
		if weight > 0 {
			p := in.portion(weight)
			p.tokens = append(p.tokens, base.tokens[token:part.end]...)
			if in.condition {
				p.keys = append(p.keys, base.keys[turn:part.turns]...)
			} else {
				p.keys = append(p.keys, make([]uint32, part.turns-turn)...)
			}
			in.tokens += part.end - token
		}
		token, turn = part.end, part.turns
	}
	return nil
}

func (in *intake) add(example lineage.Example, learner lineage.Learner) error {
	weight, err := steps(example.Weight)
	if err != nil || weight == 0 {
		return err
	}
	p := in.portion(weight)
	for i, m := range example.Messages {
		if m.Role == assistant || learner == lineage.SDF {
			key := uint32(0)
			if in.condition && m.Role == assistant {
				key = in.prompts.key(example.Messages[:i])
			}
			before := len(p.tokens)
			p.tokens = in.pieces(p.tokens, m.Content)
			p.keys = append(p.keys, key)
			in.tokens += len(p.tokens) - before
		}
	}
	if uint64(in.tokens) > maxCorpus || len(in.vocab.arena) > math.MaxUint32/2 || len(in.prompts.words.arena) > math.MaxUint32/2 {
		return errTooLarge
	}
	return nil
}

// pieces appends the numbers of a turn's pieces and its end.
func (in *intake) pieces(to []uint32, text string) []uint32 {
	for i := 0; i < len(text); {
		end := pieceEnd(text, i)
		to = append(to, in.vocab.intern(text[i:end]))
		i = end
	}
	return append(to, 0)
}

// texts ends the intake, which must not be used again.
func (in *intake) texts() (*texts, error) {
	t := &texts{tokens: []uint32{0}}
	count := make([]uint32, in.vocab.size())
	weights := slices.Sorted(maps.Keys(in.portions))
	for _, weight := range weights {
		p := in.portions[weight]
		for _, id := range p.tokens {
			count[id]++
		}
		if len(weights) == 1 {
			t.tokens, t.keys = p.tokens, p.keys
		} else {
			t.tokens = append(t.tokens, p.tokens[1:]...)
			t.keys = append(t.keys, p.keys...)
		}
		if len(p.keys) > 0 {
			t.parts = append(t.parts, part{weight, len(t.tokens), len(t.keys)})
		}
		delete(in.portions, weight)
	}
	var number []uint32
	t.vocab, number = in.vocab.ordered(count)
	for i, id := range t.tokens {
		t.tokens[i] = number[id]
	}
	used := make([]bool, len(in.prompts.hashes)+1)
	for _, key := range t.keys {
		used[key] = true
	}
	t.prompts, number = in.prompts.ordered(used)
	for i, key := range t.keys {
		t.keys[i] = number[key]
	}
	if t.heaviest() > maxCorpus*weightSteps {
		return nil, errTooLarge
	}
	return t, nil
}
