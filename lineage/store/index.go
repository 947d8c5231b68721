package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/heirloom-sim/heirloom/lineage"
)

// The longest key of a record in bytes; Badger takes 65,000.
const maxKey = 64000

// indexKey puts a byte before the key of a record, so that it may be any: Badger
// refuses the empty one, and those that begin with "!badger!".
func indexKey(key lineage.Key) []byte { return append([]byte{'r'}, key...) }

// recoveredKey is that of an empty record, written after deletions.
var recoveredKey = []byte("m")

// openIndex opens Badger with little memory and little disk: 4 MB of table in
// memory, no caches (nothing is compressed or encrypted in it), and a value log
// that stays empty since no entry is larger than inline.
func openIndex(dir string, readOnly bool, logf func(string, ...any)) (*badger.DB, error) {
	path := filepath.Join(dir, indexName)
	o := badger.DefaultOptions(path).
		WithReadOnly(readOnly).
		WithLogger(logger(logf)).
		WithMemTableSize(4 << 20).
		WithValueThreshold(64 << 10).
		WithValueLogFileSize(1 << 20).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithNumCompactors(2).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).                       // Store.writing keeps writers of one key apart
		WithChecksumVerificationMode(options.OnTableRead) // a bad block found later counts as no record
	db, err := badger.Open(o)
	if err != nil && !isLocked(err) && !readOnly {
		// Badger fails on a log file that is empty since its maker was killed, but
		// has given it its size by then.
		db, err = badger.Open(o)
	}
	switch {
	case err == nil:
		return db, nil
	case isLocked(err):
		return nil, held(dir)
	}
	return nil, damagedFolder(dir, fmt.Sprintf("its index cannot be opened: %v", err))
}

// isLocked goes by the text, since Badger does not wrap the cause.
func isLocked(err error) bool { return strings.Contains(err.Error(), "directory lock") }

// get gives nil for a key that is not there.
func get(db *badger.DB, key []byte) (entry []byte, err error) {
	err = db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(key)
		if err != nil {
			return err
		}
		entry, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	return entry, err
}

func put(db *badger.DB, key, entry []byte) error {
	return db.Update(func(txn *badger.Txn) error { return txn.Set(key, entry) })
}

func remove(db *badger.DB, keys [][]byte) error {
	batch := db.NewWriteBatch()
	defer batch.Cancel()
	for _, key := range keys {
		if err := batch.Delete(key); err != nil {
			return err
		}
	}
	return batch.Flush()
}

// scan gives the items under a prefix with a version above since, in the order
// of their keys. An item is valid during the call.
func scan(db *badger.DB, prefix []byte, since uint64, values bool, f func(*badger.Item) error) error {
	return db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, SinceTs: since, PrefetchValues: values, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := f(it.Item()); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastVersion is that of the last commit; all up to it are done.
func lastVersion(db *badger.DB) uint64 {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	return txn.ReadTs()
}

// syncIndex brings the logs of Badger to the disk. DB.Sync does so for the
// current one alone; a table that is being flushed has its own.
func syncIndex(db *badger.DB) error {
	dir := db.Opts().Dir
	logs, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return err
	}
	for _, log := range logs {
		if err := syncFile(log); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // one that has gone was flushed, and synced, meanwhile
		}
	}
	return errors.Join(db.Sync(), syncDir(dir))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// logger passes on what Badger warns of, and drops its diary.
type logger func(format string, args ...any)

func (l logger) Errorf(format string, args ...any) {
	if l != nil {
		l(strings.TrimSpace(format), args...)
	}
}
func (l logger) Warningf(format string, args ...any) { l.Errorf(format, args...) }
func (l logger) Infof(string, ...any)                {}
func (l logger) Debugf(string, ...any)               {}
