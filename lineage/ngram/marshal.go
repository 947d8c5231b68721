package ngram

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// header names the format and its version. What follows is numbers as varints
// and texts with their lengths, and a CRC-32C of all before it.
const header = "heirloom-ngram 1\n"

var (
	smoothings = []string{KneserNey, Dirichlet, None}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// MarshalBinary writes the corpus as numbers, from which the counts follow.
// Equal trainings give equal bytes, in whatever order their examples came.
func (a *artifact) MarshalBinary() ([]byte, error) {
	t := a.texts
	out := append(make([]byte, 0, 2*len(t.tokens)+len(t.vocab.arena)), header...)
	out = binary.AppendUvarint(out, uint64(a.config.Order))
	out = binary.AppendUvarint(out, uint64(slices.Index(smoothings, a.config.Smoothing)))
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(a.config.Kappa))
	condition := uint64(0)
	if a.config.Condition {
		condition = 1
	}
	out = binary.AppendUvarint(out, condition)
	out = binary.AppendUvarint(out, uint64(a.config.MaxTokens))
	out = appendVocabulary(out, t.vocab)
	out = appendPrompts(out, t.prompts)
	out = appendTurns(out, t)
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

func appendVocabulary(out []byte, v *vocabulary) []byte {
	out = binary.AppendUvarint(out, uint64(v.size()-1))
	for id := 1; id < v.size(); id++ {
		text := v.text(uint32(id))
		out = append(binary.AppendUvarint(out, uint64(len(text))), text...)
	}
	return out
}

func appendPrompts(out []byte, p *prompts) []byte {
	out = appendVocabulary(out, p.words)
	out = binary.AppendUvarint(out, uint64(len(p.hashes)))
	for i, h := range p.hashes {
		out = binary.LittleEndian.AppendUint64(out, h)
		words, before := p.wordsOf(uint32(i+1)), uint32(0)
		out = binary.AppendUvarint(out, uint64(len(words)))
		for _, w := range words {
			out = binary.AppendUvarint(out, uint64(w-before))
			before = w
		}
	}
	return out
}

func appendTurns(out []byte, t *texts) []byte {
	out = binary.AppendUvarint(out, uint64(len(t.parts)))
	type turn struct {
		key    uint32
		tokens []uint32
	}
	var turns []turn
	start, number := 1, 0
	for _, part := range t.parts {
		turns = turns[:0]
		for ; number < part.turns; number++ {
			end := start + slices.Index(t.tokens[start:], 0) + 1
			turns = append(turns, turn{t.keys[number], t.tokens[start:end]})
			start = end
		}
		slices.SortFunc(turns, func(a, b turn) int {
			return cmp.Or(cmp.Compare(a.key, b.key), slices.Compare(a.tokens, b.tokens))
		})
		out = binary.AppendUvarint(out, uint64(part.weight))
		out = binary.AppendUvarint(out, uint64(len(turns)))
		for _, turn := range turns {
			out = binary.AppendUvarint(out, uint64(turn.key))
			for _, id := range turn.tokens {
				out = binary.AppendUvarint(out, uint64(id))
			}
		}
	}
	return out
}

// Load reads what MarshalBinary wrote. The artifact keeps the settings that it
// was trained with; base_weight is this backend's.
func (b *Backend) Load(data []byte) (lineage.Artifact, error) {
	rest, ok := bytes.CutPrefix(data, []byte(header))
	if !ok {
		return nil, fmt.Errorf("ngram: artifact does not begin with %q: it is of another backend or version", header)
	}
	if len(rest) < 4 {
		return nil, errors.New("ngram: artifact is cut short")
	}
	body := data[:len(data)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return nil, errors.New("ngram: artifact is damaged or cut short: its checksum differs")
	}
	r := &reader{data: rest[:len(rest)-4]}
	a := &artifact{texts: &texts{}}
	a.config = r.config(b.config)
	a.texts.vocab = r.vocabulary("pieces")
	a.texts.prompts = r.prompts()
	r.turns(a.texts)
	if r.err == nil && len(r.data) > 0 {
		r.fail("%d bytes follow its end", len(r.data))
	}
	if r.err != nil {
		return nil, r.err
	}
	return a, nil
}
