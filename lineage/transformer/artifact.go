package transformer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// header names the format and its version. A line of JSON follows, so that the
// head of a checkpoint can be read by eye, then
//
//	merges   2 × uint32 each        the tokenizer
//	read     a bit for each token   that the model or an ancestor has read
//	weights  float32, tensor after tensor in the order of net.Params
//	digest   SHA-256 of all before it
//
// all little-endian. Weights are not compressed: their mantissas are noise, and
// what a general compressor saves of them is less than a tenth.
const header = "heirloom-transformer 1\n"

// head is what the line of JSON says.
type head struct {
	Layers     int    `json:"layers"`
	Width      int    `json:"width"`
	Heads      int    `json:"heads"`
	Hidden     int    `json:"hidden"`
	Context    int    `json:"context"`
	Vocabulary int    `json:"vocabulary"`
	Merges     int    `json:"merges"`
	Untied     bool   `json:"untied,omitempty"`
	Parameters int    `json:"parameters"`
	Arithmetic string `json:"arithmetic"` // that it was trained in: another rounds otherwise
	summary
}

// summary is what came out of the training that made the weights.
type summary struct {
	Learner lineage.Learner `json:"learner"`
	Steps   int             `json:"steps"`
	Tokens  int             `json:"tokens"`         // that were learned, over all updates
	Loss    *float64        `json:"loss,omitempty"` // mean of the last updates that make up a tenth of all; nats a token, or a pair for preference
}

// artifact is a trained model. Nothing of it changes.
type artifact struct {
	tokenizer  *tokenizer
	read       []bool // by token
	params     *net.Params
	arithmetic string
	summary    summary
	cores      int // of the training, which sampling uses too; 0 for all
}

func (a *artifact) shape() net.Shape { return a.params.Shape }

// MarshalBinary writes a checkpoint.
func (a *artifact) MarshalBinary() ([]byte, error) {
	s := a.shape()
	line, err := json.Marshal(head{
		Layers: s.Layers, Width: s.Width, Heads: s.Heads, Hidden: s.Hidden, Context: s.Context, Vocabulary: s.Vocab,
		Untied: s.Untied, Merges: len(a.tokenizer.merges), Parameters: s.Parameters(), Arithmetic: a.arithmetic, summary: a.summary,
	})
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	out := make([]byte, 0, len(header)+len(line)+1+8*len(a.tokenizer.merges)+4*s.Parameters()+sha256.Size)
	out = append(append(append(out, header...), line...), '\n')
	for _, m := range a.tokenizer.merges {
		out = binary.LittleEndian.AppendUint32(out, uint32(m.left))
		out = binary.LittleEndian.AppendUint32(out, uint32(m.right))
	}
	out = appendWeights(appendBits(out, a.read), a.params.Flat)
	digest := sha256.Sum256(out)
	return append(out, digest[:]...), nil
}

// appendBits writes eight to a byte, the first in the lowest place.
func appendBits(out []byte, bits []bool) []byte {
	first := len(out)
	out = append(out, make([]byte, (len(bits)+7)/8)...)
	for i, yes := range bits {
		if yes {
			out[first+i/8] |= 1 << (i % 8)
		}
	}
	return out
}

func readBits(data []byte, n int) []bool {
	bits := make([]bool, n)
	for i := range bits {
		bits[i] = data[i/8]>>(i%8)&1 == 1
	}
	return bits
}

func appendWeights(out []byte, weights []float32) []byte {
	for _, w := range weights {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(w))
	}
	return out
}

// Load reads a checkpoint.
func (b *Backend) Load(data []byte) (lineage.Artifact, error) {
	a, err := load(data)
	if err != nil {
		return nil, fmt.Errorf("transformer: artifact %w", err)
	}
	return a, nil
}

func load(data []byte) (*artifact, error) {
	rest, ok := bytes.CutPrefix(data, []byte(header))
	if !ok {
		return nil, fmt.Errorf("does not begin with %q: it is of another backend or version", header)
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	if !ok || len(rest) < sha256.Size {
		return nil, errors.New("is cut short")
	}
	body := data[:len(data)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(data[len(body):]) {
		return nil, errors.New("is damaged or cut short: its digest differs")
	}
	h, err := readHead(line)
	if err != nil {
		return nil, err
	}
	rest = rest[:len(rest)-sha256.Size]
	read := 8*h.Merges + (h.Vocabulary+7)/8 // where the bits end
	if want := read + 4*h.Parameters; len(rest) != want {
		return nil, fmt.Errorf("has %d bytes of merges and weights, and its head makes it %d", len(rest), want)
	}
	merges := make([]pair, h.Merges)
	for k := range merges {
		merges[k] = pair{int32(binary.LittleEndian.Uint32(rest[8*k:])), int32(binary.LittleEndian.Uint32(rest[8*k+4:]))}
	}
	a := &artifact{summary: h.summary, arithmetic: h.Arithmetic}
	if a.tokenizer, err = newTokenizer(merges); err != nil {
		return nil, fmt.Errorf("is malformed: %w", err)
	}
	if a.params, err = net.Zero(h.shape()); err != nil {
		return nil, err
	}
	a.read = readBits(rest[8*h.Merges:], h.Vocabulary)
	if !bytes.Equal(appendBits(nil, a.read), rest[8*h.Merges:read]) {
		return nil, errors.New("is malformed: it has read tokens that do not exist")
	}
	return a, readWeights(a.params.Flat, rest[read:])
}

func (h head) shape() net.Shape {
	return net.Shape{Layers: h.Layers, Width: h.Width, Heads: h.Heads, Hidden: h.Hidden, Context: h.Context, Vocab: h.Vocabulary, Untied: h.Untied}
}

func readHead(line []byte) (h head, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("has a head that cannot be read: %w", err)
	}
	if err := checkShape(h.shape()); err != nil {
		return h, fmt.Errorf("has a head that no training gives: %w", err)
	}
	if h.Parameters != h.shape().Parameters() || h.Merges != h.Vocabulary-int(firstMerge) {
		return h, fmt.Errorf("has a head that contradicts itself: %d parameters and %d merges", h.Parameters, h.Merges)
	}
	return h, nil
}

// readWeights fills parameters; one that is no number is a fault.
func readWeights(to []float32, data []byte) error {
	for i := range to {
		w := math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		if w-w != 0 {
			return fmt.Errorf("is malformed: weight %d is %v", i, w)
		}
		to[i] = w
	}
	return nil
}
