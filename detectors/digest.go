package detectors

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Digest names a detector by all that its answers depend on: its kind, its
// configuration in canonical bytes and, for a Digester, what it has learned or
// read. It is 16 hexadecimal characters; equal digests may share stored scores.
func Digest(kind string, canonicalConfig []byte, d Detector) string {
	parts := []string{kind, string(canonicalConfig)}
	if own, ok := d.(Digester); ok {
		parts = append(parts, own.Digest())
	}
	return digestOf(parts...)
}

func digestOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		writePart(h, p)
	}
	return sum16(h)
}

// writePart writes the length first, so that parts cannot run together.
func writePart(h hash.Hash, part string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(part)))
	h.Write(n[:])
	h.Write([]byte(part))
}

func sum16(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil))[:16] }
