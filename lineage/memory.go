package lineage

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Memory is a Ledger without a disk. The zero value is empty and ready. Its
// records lie one after the other in slabs, and its index holds no pointers, so
// that a million of them cost the garbage collector nothing.
type Memory struct {
	once   sync.Once
	seed   maphash.Seed
	shards [64]memoryShard
}

type memoryShard struct {
	sync.RWMutex
	slabs   [][]byte
	entries []memoryEntry
	index   map[uint64]int32 // hash of a key to the last entry with it
}

// memoryEntry is a record: its key and then its value lie in a slab.
type memoryEntry struct {
	slab, at   int32
	key, value int32 // lengths
	before     int32 // the entry before it with the same hash, or -1
}

const slabSize = 1 << 20

func (m *Memory) shard(key Key) (*memoryShard, uint64) {
	m.once.Do(func() { m.seed = maphash.MakeSeed() })
	h := maphash.String(m.seed, string(key))
	return &m.shards[h%uint64(len(m.shards))], h
}

// find gives the value of a key, which must not be changed.
func (s *memoryShard) find(key Key, h uint64) ([]byte, bool) {
	at, ok := s.index[h]
	for ok && at >= 0 {
		e := s.entries[at]
		text := s.slabs[e.slab][e.at:][:e.key+e.value]
		if string(text[:e.key]) == string(key) {
			return text[e.key:], true
		}
		at = e.before
	}
	return nil, false
}

func (m *Memory) Load(key Key, v any) (bool, error) {
	s, h := m.shard(key)
	s.RLock()
	data, ok := s.find(key, h)
	s.RUnlock()
	if !ok {
		return false, nil
	}
	return true, Decode(data, v)
}

func (m *Memory) Save(key Key, v any) error {
	data, err := Encode(v)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	s, h := m.shard(key)
	s.Lock()
	defer s.Unlock()
	if old, ok := s.find(key, h); ok {
		if !bytes.Equal(old, data) {
			return fmt.Errorf("%s: %w", key, ErrRewritten)
		}
		return nil
	}
	s.add(key, h, data)
	return nil
}

func (s *memoryShard) add(key Key, h uint64, data []byte) {
	need := len(key) + len(data)
	last := len(s.slabs) - 1
	if last < 0 || cap(s.slabs[last])-len(s.slabs[last]) < need {
		s.slabs = append(s.slabs, make([]byte, 0, max(slabSize, need)))
		last++
	}
	slab := s.slabs[last]
	e := memoryEntry{slab: int32(last), at: int32(len(slab)), key: int32(len(key)), value: int32(len(data)), before: -1}
	s.slabs[last] = append(append(slab, key...), data...)
	if s.index == nil {
		s.index = map[uint64]int32{}
	}
	if before, ok := s.index[h]; ok {
		e.before = before
	}
	s.index[h] = int32(len(s.entries))
	s.entries = append(s.entries, e)
}

func (m *Memory) Keys(prefix Key) iter.Seq2[Key, error] {
	var keys []Key
	for i := range m.shards {
		s := &m.shards[i]
		s.RLock()
		for _, e := range s.entries {
			if key := s.slabs[e.slab][e.at:][:e.key]; strings.HasPrefix(string(key), string(prefix)) {
				keys = append(keys, Key(key))
			}
		}
		s.RUnlock()
	}
	slices.Sort(keys)
	return func(yield func(Key, error) bool) {
		for _, key := range keys {
			if !yield(key, nil) {
				return
			}
		}
	}
}
