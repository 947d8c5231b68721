package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	formatName  = "ledger.json"
	indexName   = "index"
	recordsName = "records"
	syncedName  = "synced"
	addressName = "address"
	partSuffix  = ".part" // of a file that is being written
)

// format is the record that makes a folder a ledger. Version 1 is what this
// package documents.
type format struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

var current = format{"heirloom ledger", 1}

// makeFolder makes a ledger of a folder that is missing or empty, and leaves
// any other alone. It may be cut off anywhere and run again.
func makeFolder(dir string) error {
	err := checkFolder(dir)
	if err == nil || !errors.Is(err, errEmpty) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("ledger %s cannot be made: %w", dir, err)
	}
	records, err := os.OpenFile(filepath.Join(dir, recordsName), os.O_RDWR|os.O_CREATE, 0o666)
	if err == nil {
		err = records.Close()
	}
	if err == nil {
		err = writeSynced(dir, 0)
	}
	if err == nil {
		text, _ := json.Marshal(current)
		err = replaceFile(filepath.Join(dir, formatName), append(text, '\n'))
	}
	if full(err) {
		return fullError(dir, err.Error())
	}
	if err != nil {
		return fmt.Errorf("ledger %s cannot be made: %w", dir, err)
	}
	return nil
}

// replaceFile gives path its new content at once or not at all, safe from a
// power cut.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+partSuffix) // two processes may make one ledger
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // where it is still there
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeSynced(dir string, version uint64) error {
	return replaceFile(filepath.Join(dir, syncedName), []byte(strconv.FormatUint(version, 10)))
}

func readSynced(dir string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(dir, syncedName))
	if err != nil {
		return 0, damagedFolder(dir, err.Error())
	}
	version, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, damagedFolder(dir, fmt.Sprintf("its file %s holds %.40q", syncedName, text))
	}
	return version, nil
}

// errEmpty says that a folder could become a ledger.
var errEmpty = fmt.Errorf("%w: it is empty", ErrNot)

// checkFolder tells whether dir is a ledger that this package can open.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("ledger %s does not exist: %w", dir, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("ledger %s: %w", dir, err)
	case !info.IsDir():
		return fmt.Errorf("ledger %s %w: it is a file, and a ledger is a folder", dir, ErrNot)
	}
	text, err := os.ReadFile(filepath.Join(dir, formatName))
	if errors.Is(err, fs.ErrNotExist) {
		return foreign(dir)
	} else if err != nil {
		return fmt.Errorf("ledger %s: %w", dir, err)
	}
	var f format
	switch err := json.Unmarshal(text, &f); {
	case err != nil || f.Format != current.Format || f.Version < 1:
		return fmt.Errorf("ledger %s %w: its %s holds %.80q", dir, ErrNot, formatName, bytes.TrimSpace(text))
	case f.Version > current.Version:
		return fmt.Errorf("ledger %s was written in format %d and this program reads up to %d: use the newer heirloom that made it", dir, f.Version, current.Version)
	}
	return checkWhole(dir)
}

// checkWhole refuses a ledger that lost a part: Badger would silently begin a
// new index beside old records.
func checkWhole(dir string) error {
	records, err := os.Stat(filepath.Join(dir, recordsName))
	if err != nil {
		return damagedFolder(dir, err.Error())
	}
	synced, err := readSynced(dir)
	if err != nil {
		return err
	}
	if !hasIndex(dir) && (records.Size() > 0 || synced > 0) {
		return damagedFolder(dir, "its index is missing")
	}
	return nil
}

func hasIndex(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, indexName, "MANIFEST"))
	return !errors.Is(err, fs.ErrNotExist)
}

// untouched tells whether a ledger was made and never opened.
func untouched(dir string) (bool, error) {
	if err := checkFolder(dir); err != nil {
		return false, err
	}
	return !hasIndex(dir), nil
}

func damagedFolder(dir, why string) error {
	return fmt.Errorf("ledger %s is damaged: %s; restore the folder from a copy, or run again into a new one", dir, why)
}

// foreign says what a folder without a format record is. What a broken-off
// makeFolder left, and what file systems put into fresh folders, is nothing.
func foreign(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", dir, err)
	}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		leftover := err == nil && info.Size() <= 1 && (e.Name() == recordsName || e.Name() == syncedName)
		if !leftover && !strings.HasSuffix(e.Name(), partSuffix) && !slices.Contains([]string{"lost+found", ".DS_Store"}, e.Name()) {
			names = append(names, e.Name())
		}
	}
	what := "it holds other files"
	switch {
	case len(names) == 0:
		return fmt.Errorf("ledger %s %w", dir, errEmpty)
	case slices.Contains(names, "MANIFEST") && slices.Contains(names, "KEYREGISTRY"):
		what = "it is the Badger database of another program"
	}
	if len(names) > 3 {
		names = append(names[:3], "…")
	}
	return fmt.Errorf("ledger %s %w: %s (%s); name a ledger, or a new folder", dir, ErrNot, what, strings.Join(names, ", "))
}

// writer is the process that Badger's lock file names, or 0 where only readers
// hold the folder.
func writer(dir string) int {
	text, _ := os.ReadFile(filepath.Join(dir, indexName, "LOCK"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// held is the error of a second writer.
func held(dir string) error {
	if pid := writer(dir); pid != 0 {
		return fmt.Errorf("ledger %s %w by process %d, which writes it: wait for it to end or stop it; the ledger can be read meanwhile", dir, ErrHeld, pid)
	}
	return fmt.Errorf("ledger %s %w by a process that reads it: wait for it to end or stop it", dir, ErrHeld)
}

// reserve is what must stay free on the disk, in bytes: Badger writes its log
// and tables, a few MB each, through memory mappings, where a full disk is not
// an error but the end of the process. Only another program that takes the
// reserve within the milliseconds of such a write can still bring that about,
// and then it is a killed process like any other.
const reserve = 32 << 20

// room tells whether so many bytes are free.
func room(dir string, bytes int) error {
	free, err := freeBytes(dir)
	if err != nil {
		return fmt.Errorf("ledger %s: %w", dir, err)
	}
	if free < uint64(bytes) {
		return fullError(dir, fmt.Sprintf("%d MB are free and %d MB must be", free>>20, bytes>>20))
	}
	return nil
}

// fault says clearly what the system answers when there is no room.
func (s *Store) fault(err error) error {
	if full(err) {
		return fullError(s.dir, err.Error())
	}
	return s.failed(err)
}

// full covers the quota of a user and the size limit of a file too.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

func fullError(dir, why string) error {
	return fmt.Errorf("ledger %s: %w (%s): nothing saved so far is lost; make room and run the same command again to resume", dir, ErrFull, why)
}
