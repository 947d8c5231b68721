package command

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// isAdapter reads the header of a GGUF file (version 2 or 3) as far as
// general.type, which is "adapter" for a LoRA and "model" or absent for weights
// of their own.
func isAdapter(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g := &gguf{in: bufio.NewReader(f)}
	magic := g.bytes(4)
	version, _, pairs := g.uint(4), g.uint(8), g.uint(8)
	if g.err != nil || string(magic) != "GGUF" || version < 2 || version > 3 {
		return false, fmt.Errorf("%s is no GGUF file of version 2 or 3", path)
	}
	for range min(pairs, 1<<16) {
		key, kind := string(g.string()), g.uint(4)
		if key == "general.type" && kind == ggufString {
			return string(g.string()) == "adapter", g.err
		}
		g.skip(kind, 0)
		if g.err != nil {
			return false, fmt.Errorf("%s: its header cannot be read: %w", path, g.err)
		}
	}
	return false, nil
}

// Types of values in the header, and the sizes of the fixed ones.
const (
	ggufString = 8
	ggufArray  = 9
)

var ggufSizes = map[uint64]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}

// gguf reads little-endian values; after a fault it gives zeros.
type gguf struct {
	in  *bufio.Reader
	err error
}

func (g *gguf) bytes(n uint64) []byte {
	if g.err != nil {
		return nil
	}
	if n > 1<<24 {
		g.err = errors.New("a text of more than 16 MiB")
		return nil
	}
	b := make([]byte, n)
	_, g.err = io.ReadFull(g.in, b)
	return b
}

func (g *gguf) uint(size uint64) uint64 {
	var whole [8]byte
	copy(whole[:], g.bytes(size))
	return binary.LittleEndian.Uint64(whole[:])
}

func (g *gguf) string() []byte { return g.bytes(g.uint(8)) }

func (g *gguf) skip(kind uint64, depth int) {
	size, fixed := ggufSizes[kind]
	switch {
	case g.err != nil:
	case fixed:
		g.bytes(size)
	case kind == ggufString:
		g.string()
	case kind == ggufArray && depth < 4:
		inner, n := g.uint(4), g.uint(8)
		if n > 1<<24 {
			g.err = errors.New("an array of more than 2^24 values")
			return
		}
		for i := uint64(0); i < n && g.err == nil; i++ {
			g.skip(inner, depth+1)
		}
	default:
		g.err = fmt.Errorf("a value of the unknown type %d", kind)
	}
}
