package net

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const stateVersion = "heirloom-net-state-1\n"

// State is what a trainer remembers beside the parameters: the number of steps and
// gradients, AdamW's two moments, and adapters with their values. Together with
// the parameters it lets a killed training go on to the same bits. It is taken
// after an Update; a gradient that was not used yet is not part of it.
func (t *Trainer) State() []byte {
	b := []byte(stateVersion)
	b = binary.LittleEndian.AppendUint64(b, t.steps)
	b = binary.LittleEndian.AppendUint64(b, t.gradients)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(t.rate))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(t.norm))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(t.memory())))
	for _, part := range t.memory() {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(part)))
		for _, x := range part {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
	}
	return b
}

// memory are the numbers of a state.
func (t *Trainer) memory() [][]float32 {
	parts := [][]float32{t.moment.m, t.moment.v}
	if t.adapter != nil {
		for _, w := range t.adapter.tensors {
			parts = append(parts, w.Data)
		}
	}
	return parts
}

// Restore takes up a state of a trainer with the same options and of parameters as
// they were then. It fails, and changes nothing, where the state is of a network or
// options of another size, or is damaged.
func (t *Trainer) Restore(state []byte) error {
	if len(state) < len(stateVersion) || string(state[:len(stateVersion)]) != stateVersion {
		return errors.New("state of the training: it is none, or of another version of heirloom")
	}
	rest := state[len(stateVersion):]
	next := func() (x uint64) {
		if len(rest) >= 8 {
			x, rest = binary.LittleEndian.Uint64(rest), rest[8:]
		}
		return x
	}
	steps, gradients, rate, norm := next(), next(), next(), next()
	into := t.memory()
	if steps > 0 {
		into[0], into[1] = make([]float32, t.moment.size), make([]float32, t.moment.size)
	} else {
		into[0], into[1] = nil, nil
	}
	size := 8
	for _, part := range into {
		size += 8 + 4*len(part)
	}
	if want := size + 32 + len(stateVersion); want != len(state) {
		return fmt.Errorf("state of the training: it has %d bytes where this network and these options have %d: it is of another training, or cut off", len(state), want)
	}
	parts := next()
	lengths := parts == uint64(len(into))
	copies := make([][]float32, len(into))
	for i, part := range into {
		lengths = lengths && next() == uint64(len(part))
		copies[i] = make([]float32, len(part))
		for j := range part {
			copies[i][j] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4*j:]))
		}
		rest = rest[4*len(part):]
	}
	if !lengths {
		return errors.New("state of the training: its parts are not those of this network and these options: it is of another training, or damaged")
	}
	t.steps, t.gradients = steps, gradients
	t.rate, t.norm = math.Float64frombits(rate), math.Float64frombits(norm)
	t.moment.m, t.moment.v = copies[0], copies[1]
	if steps == 0 {
		t.moment.m, t.moment.v = nil, nil
	}
	if t.adapter != nil {
		for i, w := range t.adapter.tensors {
			copy(w.Data, copies[2+i])
		}
		t.adapter.apply(t.options.Threads)
	}
	t.fresh, t.packed = true, [2]bool{}
	return nil
}
