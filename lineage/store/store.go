// Package store keeps a ledger on disk.
//
//  1. Save encodes a record, compresses it, appends it to the records file where
//     it is large, and commits its key to the index. When Save returns, the record
//     survives the death of the process; after Sync it also survives a power cut.
//  2. A commit carries a version, one more than the last. Open checks what was
//     committed since the last Sync and cuts at the first torn record, so whatever
//     happened, a ledger holds all that was saved up to some moment: where the
//     record of a node is, everything saved before it is.
//  3. One process writes. Read opens the folder when nobody writes, and otherwise
//     reads through the writing process.
//
// The folder of a ledger holds:
//
//	ledger.json   what this folder is, and the version of its format
//	index/        a Badger database: key → small record, or where a large one lies
//	records       large records, one after the other
//	synced        the version up to which all is safe from a power cut
//	address       the socket on which the writing process serves readers, while it runs
//
// Large records do not go into Badger's value log because that is memory-mapped:
// there a full disk is a SIGBUS instead of an error, and every page written
// counts as memory of the process.
package store

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/heirloom-sim/heirloom/lineage"
)

// Options of a ledger that is opened for writing.
type Options struct {
	Logf func(format string, args ...any) // what goes wrong beside the calls; nil for silence
}

// Faults that a caller may tell apart.
var (
	ErrFull = errors.New("the disk is full")
	ErrHeld = errors.New("is in use")
	ErrNot  = errors.New("is not a heirloom ledger")
)

// source is what Store, Reader and the client of a Store have in common.
type source interface {
	get(key lineage.Key) (data []byte, ok bool, err error)
	keys(prefix lineage.Key) ([]lineage.Key, error)
	Close() error
}

func load(s source, key lineage.Key, v any) (bool, error) {
	data, ok, err := s.get(key)
	if !ok || err != nil {
		return false, err
	}
	if err := lineage.Decode(data, v); err != nil {
		return false, fmt.Errorf("%s: %w", key, err)
	}
	return true, nil
}

// list takes the keys at once, so that nothing is held while the caller works.
func list(s source, prefix lineage.Key) iter.Seq2[lineage.Key, error] {
	return func(yield func(lineage.Key, error) bool) {
		all, err := s.keys(prefix)
		if err != nil {
			yield("", err)
			return
		}
		for _, key := range all {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// patience is how long one process waits for another to answer, or to be done
// with opening or closing the ledger.
const patience = 5 * time.Second

var (
	errClosed   = errors.New("it is closed")
	errReadOnly = errors.New("the ledger is open for reading and takes no records")
)

// Store is a lineage.Ledger in a folder.
type Store struct {
	dir      string
	readOnly bool
	index    *badger.DB
	records  *records
	server   *server

	open    sync.RWMutex // held for reading by every call, for writing by Close
	closed  bool
	writing [64]sync.Mutex // by key: what stands between the check and the write
	syncing sync.Mutex
	broken  atomic.Pointer[error] // a failed commit: a later one would leave a gap in the versions
	filled  atomic.Bool           // the last Save found the disk full
}

// Create opens the ledger in dir for writing and makes it where dir is missing
// or empty.
func Create(dir string, o Options) (*Store, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	return Open(dir, o)
}

// Open opens the ledger in dir for writing. ErrHeld says that another process
// writes it, ErrNot that dir is something else, fs.ErrNotExist that there is
// no dir.
func Open(dir string, o Options) (*Store, error) {
	s, err := openStore(dir, writing, o.Logf)
	for end := time.Now().Add(patience); errors.Is(err, ErrHeld) && !served(dir) && time.Now().Before(end); {
		time.Sleep(patience / 1000) // a reader is soon done, also one that puts in order what was not closed
		s, err = openStore(dir, writing, o.Logf)
	}
	if err != nil {
		return nil, err
	}
	if s.server, err = serve(s); err != nil && o.Logf != nil {
		o.Logf("ledger %s: cannot be read by other processes while this one writes: %v", dir, err)
	}
	return s, nil
}

// What a ledger is opened for, as the bytes that must be free for it.
const (
	reading = 0
	mending = reserve / 2 // to put in order what was not closed
	writing = reserve
)

func openStore(dir string, purpose int, logf func(string, ...any)) (_ *Store, err error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir, readOnly: purpose == reading}
	if s.records, err = openRecords(filepath.Join(dir, recordsName), s.readOnly); err != nil {
		return nil, fmt.Errorf("ledger %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			s.records.Close()
		}
	}()
	if err := room(dir, purpose); err != nil {
		return nil, err
	}
	if s.index, err = openIndex(dir, s.readOnly, logf); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, s.index.Close())
	}
	return s, nil
}

// failed names the ledger in an error.
func (s *Store) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger %s: %w", s.dir, err)
}

// enter keeps the ledger open until its result is called.
func (s *Store) enter() (leave func(), err error) {
	s.open.RLock()
	if s.closed {
		s.open.RUnlock()
		return nil, s.failed(errClosed)
	}
	return s.open.RUnlock, nil
}

// Load reads a record. A record that the disk damaged is an error.
func (s *Store) Load(key lineage.Key, v any) (bool, error) { return load(s, key, v) }

func (s *Store) get(key lineage.Key) ([]byte, bool, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, false, err
	}
	defer leave()
	return s.load(key)
}

func (s *Store) load(key lineage.Key) (data []byte, ok bool, err error) {
	entry, err := get(s.index, indexKey(key))
	if entry == nil || err != nil {
		return nil, false, s.damaged(key, err)
	}
	data, err = s.records.decode(entry)
	return data, err == nil, s.damaged(key, err)
}

func (s *Store) damaged(key lineage.Key, err error) error {
	if err == nil {
		return nil
	}
	return s.failed(fmt.Errorf("record %s is damaged: %w; restore the folder from a copy, or run again into a new one", key, err))
}

// Save writes a record; it is there for every Load that begins after Save
// returned. ErrFull says that the disk is full: the ledger stays whole and
// usable, and takes records again once there is room.
func (s *Store) Save(key lineage.Key, v any) error {
	data, err := lineage.Encode(v)
	if err != nil {
		return s.failed(fmt.Errorf("%s: %w", key, err))
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.readOnly {
		return s.failed(fmt.Errorf("%s: %w", key, errReadOnly))
	}
	if len(key) > maxKey {
		return s.failed(fmt.Errorf("%.40q…: the key has %d bytes, a ledger takes up to %d", key, len(key), maxKey))
	}

	lock := &s.writing[crc32.ChecksumIEEE([]byte(key))%uint32(len(s.writing))]
	lock.Lock()
	defer lock.Unlock()
	old, ok, err := s.load(key)
	switch {
	case err != nil:
		return err
	case ok && bytes.Equal(old, data):
		return nil
	case ok:
		return s.failed(fmt.Errorf("%s: %w", key, lineage.ErrRewritten))
	}
	return s.append(key, data)
}

func (s *Store) append(key lineage.Key, data []byte) error {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	err := room(s.dir, reserve+len(data))
	var entry []byte
	if err == nil {
		if entry, err = s.records.encode(data); err != nil {
			err = s.fault(fmt.Errorf("%s: %w", key, err))
		}
	}
	s.filled.Store(errors.Is(err, ErrFull))
	if err != nil {
		return err
	}
	if err := put(s.index, indexKey(key), entry); err != nil {
		err = s.failed(fmt.Errorf("the index takes no more records: %w; what was saved before is safe, run the same command again to resume", err))
		s.broken.CompareAndSwap(nil, &err)
		return err
	}
	return nil
}

// Keys yields the keys that were there when the iteration began.
func (s *Store) Keys(prefix lineage.Key) iter.Seq2[lineage.Key, error] { return list(s, prefix) }

func (s *Store) keys(prefix lineage.Key) ([]lineage.Key, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var all []lineage.Key
	err = scan(s.index, indexKey(prefix), 0, false, func(item *badger.Item) error {
		all = append(all, lineage.Key(item.Key()[1:]))
		return nil
	})
	return all, s.failed(err)
}

// Close syncs and ends all that runs for the ledger. A second Close does
// nothing. On a full disk the folder stays locked until the process ends.
func (s *Store) Close() error {
	s.server.close()
	s.open.Lock()
	defer s.open.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if !s.readOnly {
		err = s.sync()
	}
	if s.filled.Load() || errors.Is(err, ErrFull) {
		// Badger would write what it has in memory through a mapping, and a full
		// disk there ends the process. Its log has it all; the lock of the folder
		// goes with the process.
		return cmp.Or(err, fullError(s.dir, "it was not closed"))
	}
	return errors.Join(err, s.failed(s.index.Close()), s.records.Close())
}

var _ lineage.Ledger = (*Store)(nil)
