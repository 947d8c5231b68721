package store

import (
	"cmp"
	"errors"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// Sync returns when everything saved before it is safe from a power cut.
func (s *Store) Sync() error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.sync()
}

func (s *Store) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	if err := room(s.dir, reserve/2); err != nil {
		return err
	}
	// The version is read first: what is committed up to it was appended to the
	// records before, and is covered by what follows.
	version := lastVersion(s.index)
	err := errors.Join(s.records.Sync(), syncIndex(s.index))
	if err == nil {
		err = writeSynced(s.dir, version)
	}
	return s.fault(err)
}

// recover drops, from the first on, the commits since the last Sync that a
// power cut tore. The versions are consecutive, so one that is missing is torn
// too. After the death of a process alone nothing is torn. What was synced and
// is missing is an error.
func (s *Store) recover() error {
	type commit struct {
		version uint64
		key     []byte
		whole   bool
	}
	synced, err := readSynced(s.dir)
	if err != nil {
		return err
	}
	if lastVersion(s.index) < synced {
		return damagedFolder(s.dir, "the end of its index is missing")
	}
	if s.readOnly {
		return nil // it was closed, and so synced
	}
	var commits []commit
	err = scan(s.index, nil, synced, true, func(item *badger.Item) error {
		entry, err := item.ValueCopy(nil)
		if err == nil {
			_, err = s.records.decode(entry)
		}
		commits = append(commits, commit{item.Version(), item.KeyCopy(nil), err == nil})
		return nil
	})
	if err != nil {
		return s.failed(err)
	}
	slices.SortFunc(commits, func(a, b commit) int { return cmp.Compare(a.version, b.version) })
	whole := 0
	for whole < len(commits) && commits[whole].whole && commits[whole].version == synced+1+uint64(whole) {
		whole++
	}
	if lastVersion(s.index) == synced+uint64(whole) {
		return nil
	}
	var torn [][]byte
	for _, c := range commits[whole:] {
		torn = append(torn, c.key)
	}
	// Badger may forget a deletion, and its version with it; the mark stays, so
	// that the last version never goes back.
	if err := errors.Join(remove(s.index, torn), put(s.index, recoveredKey, []byte{0})); err != nil {
		return s.failed(err)
	}
	return s.sync()
}
