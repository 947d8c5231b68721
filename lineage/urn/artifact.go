package urn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Artifact is the counts: for each prompt ("" where the urn is not
// conditioned), the texts in the order in which they were first read.
type Artifact struct {
	urns  []*texts
	index map[string]*texts
	seed  uint64 // of the posterior draw, for an urn that is opened as a sampler
}

type texts struct {
	prompt  string
	texts   []string
	weights []float64
	index   map[string]int
}

func (a *Artifact) put(prompt, text string, weight float64) {
	u := a.index[prompt]
	if u == nil {
		u = &texts{prompt: prompt, index: map[string]int{}}
		if a.index == nil {
			a.index = map[string]*texts{}
		}
		a.index[prompt] = u
		a.urns = append(a.urns, u)
	}
	if weight == 0 {
		return
	}
	i, ok := u.index[text]
	if !ok {
		i = len(u.texts)
		u.index[text] = i
		u.texts = append(u.texts, text)
		u.weights = append(u.weights, 0)
	}
	u.weights[i] += weight
}

// total is the weight of all urns.
func (a *Artifact) total() (sum float64) {
	for _, u := range a.urns {
		for _, w := range u.weights {
			sum += w
		}
	}
	return sum
}

const format = "heirloom-urn 1\n"

// MarshalBinary gives the format line and the seed, then for each urn its
// prompt and its texts with their weights.
func (a *Artifact) MarshalBinary() ([]byte, error) {
	out := binary.LittleEndian.AppendUint64([]byte(format), a.seed)
	out = binary.AppendUvarint(out, uint64(len(a.urns)))
	for _, u := range a.urns {
		out = appendString(out, u.prompt)
		out = binary.AppendUvarint(out, uint64(len(u.texts)))
		for i, text := range u.texts {
			out = appendString(out, text)
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(u.weights[i]))
		}
	}
	return out, nil
}

func appendString(out []byte, s string) []byte {
	out = binary.AppendUvarint(out, uint64(len(s)))
	return append(out, s...)
}

var errCut = errors.New("urn: the artifact is cut short")

// Load reads what MarshalBinary gave.
func (b *Backend) Load(data []byte) (lineage.Artifact, error) {
	if len(data) < len(format) || string(data[:len(format)]) != format {
		return nil, fmt.Errorf("urn: not an artifact of this version (it should begin with %q)", format)
	}
	if data = data[len(format):]; len(data) < 8 {
		return nil, errCut
	}
	a := &Artifact{seed: binary.LittleEndian.Uint64(data)}
	data = data[8:]
	urns, data, err := takeUint(data)
	for range urns {
		var prompt string
		var count uint64
		if prompt, data, err = takeString(data); err != nil {
			return nil, err
		}
		if count, data, err = takeUint(data); err != nil {
			return nil, err
		}
		a.put(prompt, "", 0)
		for range count {
			var text string
			if text, data, err = takeString(data); err != nil {
				return nil, err
			}
			if len(data) < 8 {
				return nil, errCut
			}
			w := math.Float64frombits(binary.LittleEndian.Uint64(data))
			if data = data[8:]; !(w > 0) || math.IsInf(w, 0) {
				return nil, fmt.Errorf("urn: the artifact is corrupt: a text has the weight %v", w)
			}
			a.put(prompt, text, w)
		}
	}
	if err != nil {
		return nil, err
	}
	if len(data) != 0 {
		return nil, fmt.Errorf("urn: the artifact is corrupt: %d bytes follow its end", len(data))
	}
	return a, nil
}

func takeUint(data []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, errCut
	}
	return v, data[n:], nil
}

func takeString(data []byte) (string, []byte, error) {
	n, data, err := takeUint(data)
	if err != nil || n > uint64(len(data)) {
		return "", nil, errCut
	}
	return string(data[:n]), data[n:], nil
}
