package lineage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A dictionary encodes a list of items, each distinct item once: the number of
// items, the distinct ones with their lengths, then one index an item.
type dictionary struct {
	item  []byte
	table []byte
	index []byte
	known map[string]uint64
	items int
	last  []byte // the item before, since stand-ins often repeat themselves
	at    uint64 // its index
}

const codecVersion = 1

func newDictionary(items int) *dictionary {
	return &dictionary{known: make(map[string]uint64, min(items, 8))}
}

func (d *dictionary) putUint(v uint64) { d.item = binary.AppendUvarint(d.item, v) }

func (d *dictionary) putString(s string) {
	d.putUint(uint64(len(s)))
	d.item = append(d.item, s...)
}

// end closes the item that was put together since the last end.
func (d *dictionary) end() {
	if d.items == 0 || !bytes.Equal(d.item, d.last) {
		i, ok := d.known[string(d.item)]
		if !ok {
			i = uint64(len(d.known))
			d.known[string(d.item)] = i
			d.table = binary.AppendUvarint(d.table, uint64(len(d.item)))
			d.table = append(d.table, d.item...)
		}
		d.at = i
		d.item, d.last = d.last, d.item
	}
	d.index = binary.AppendUvarint(d.index, d.at)
	d.items++
	d.item = d.item[:0]
}

func (d *dictionary) bytes() []byte {
	out := make([]byte, 0, 1+20+len(d.table)+len(d.index))
	out = append(out, codecVersion)
	out = binary.AppendUvarint(out, uint64(d.items))
	out = binary.AppendUvarint(out, uint64(len(d.known)))
	out = append(out, d.table...)
	return append(out, d.index...)
}

var errCorrupt = errors.New("lineage: record is corrupt")

// undictionary decodes what dictionary.bytes gave; equal items share memory.
func undictionary[T any, S ~[]T](data []byte, item func(*reader) T, into *S) error {
	if len(data) == 0 || data[0] != codecVersion {
		return fmt.Errorf("%w: unknown version", errCorrupt)
	}
	r := &reader{data: data[1:]}
	items, distinct := r.count(), r.count()
	if r.bad {
		return errCorrupt
	}
	table := make([]T, distinct)
	for i := range table {
		one := reader{data: r.take(r.count())}
		table[i] = item(&one)
		if r.bad || one.bad || len(one.data) != 0 {
			return errCorrupt
		}
	}
	list := make(S, 0, items)
	for range items {
		i := r.uint()
		if r.bad || i >= uint64(len(table)) {
			return errCorrupt
		}
		list = append(list, table[i])
	}
	if len(r.data) != 0 {
		return errCorrupt
	}
	*into = list
	return nil
}

// reader takes numbers and strings off a record. After a fault it gives zeros
// and bad stays set.
type reader struct {
	data []byte
	bad  bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

// count is a length: each of what it counts takes at least a byte, so a count
// beyond the rest of the record is a fault and never an allocation.
func (r *reader) count() int {
	v := r.uint()
	if v > uint64(len(r.data)) {
		r.bad, r.data = true, nil
		return 0
	}
	return int(v)
}

func (r *reader) take(n int) []byte {
	if n > len(r.data) {
		r.bad, r.data = true, nil
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) string() string { return string(r.take(r.count())) }

func (r *reader) int() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.bad, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}
