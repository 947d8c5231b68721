package lineage

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Key names a record: "kind/part/part". A kind sorts with its own.
type Key string

// ErrRewritten says that a record exists with different content. Writing the
// same content again is fine; different content means that something which
// should be a function of its recipe is not.
var ErrRewritten = errors.New("lineage: record exists with different content")

// Ledger keeps records. A record is written once and never changed; its methods
// may be called by several goroutines at once. Values are encoded by Encode.
// Keys yields the keys with the given prefix in ascending order.
type Ledger interface {
	Load(key Key, v any) (bool, error)
	Save(key Key, v any) error
	Keys(prefix Key) iter.Seq2[Key, error]
}

// Encode gives the bytes of a record: MarshalBinary where the type has it, JSON
// with sorted map keys elsewhere.
func Encode(v any) ([]byte, error) {
	if m, ok := v.(encoding.BinaryMarshaler); ok {
		return m.MarshalBinary()
	}
	return json.Marshal(v)
}

// Decode is the inverse of Encode. data is not retained.
func Decode(data []byte, v any) error {
	if m, ok := v.(encoding.BinaryUnmarshaler); ok {
		return m.UnmarshalBinary(data)
	}
	return json.Unmarshal(data, v)
}

// Raw is a record as its encoded bytes.
type Raw []byte

func (r Raw) MarshalBinary() ([]byte, error) { return r, nil }
func (r *Raw) UnmarshalBinary(b []byte) error {
	*r = bytes.Clone(b)
	return nil
}

// Fingerprint is the digest of every record under a prefix, keys included: two
// ledgers with one fingerprint hold the same bytes.
func Fingerprint(l Ledger, prefix Key) (string, error) {
	h := sha256.New()
	for key, err := range l.Keys(prefix) {
		if err != nil {
			return "", err
		}
		var raw Raw
		if _, err := l.Load(key, &raw); err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d %s %d ", len(key), key, len(raw))
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
