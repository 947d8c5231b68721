package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/heirloom-sim/heirloom/lineage"
)

// unclosed gives a copy of a ledger as a power cut would leave it, and where its
// newest files ended when node 20 of 40 was synced and when node 40 was saved.
type unclosed struct {
	dir           string
	synced, saved map[string]int
}

func unclosedLedger(t *testing.T) unclosed {
	u := unclosed{dir: t.TempDir()}
	s := create(t, u.dir)
	for n := range 40 {
		if n == 20 {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			u.synced = ends(t, u.dir)
		}
		if err := saveNode(s, n); err != nil {
			t.Fatal(err)
		}
	}
	u.saved = ends(t, u.dir)
	u.dir = copyLedger(t, u.dir)
	return u
}

// ends is where the written part of the newest files ends; Badger's log is
// followed by zeros.
func ends(t *testing.T, dir string) map[string]int {
	all := map[string]int{}
	logs, _ := filepath.Glob(filepath.Join(dir, indexName, "*.mem"))
	for _, path := range append(logs, filepath.Join(dir, recordsName)) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, path)
		all[name] = len(bytes.TrimRight(data, "\x00"))
	}
	return all
}

func TestTornTailLosesOnlyTheEnd(t *testing.T) {
	t.Parallel()
	u := unclosedLedger(t)
	whole, err := lineage.Fingerprint(create(t, copyLedger(t, u.dir)), "")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	damages := map[string]func(data []byte, at int) []byte{
		"cut":    func(data []byte, at int) []byte { return data[:at] },
		"zeroed": func(data []byte, at int) []byte { clear(data[at:]); return data },
		"flip":   func(data []byte, at int) []byte { data[at] ^= 0x40; return data },
	}
	var lost atomic.Int64
	t.Cleanup(func() {
		if lost.Load() == 0 {
			t.Error("no damage hit anything")
		}
	})
	for name := range u.saved {
		for kind, damage := range damages {
			for range 2 {
				at := u.synced[name] + r.IntN(u.saved[name]-u.synced[name])
				t.Run(fmt.Sprintf("%s/%s/%d", name, kind, at), func(t *testing.T) {
					t.Parallel()
					dir := copyLedger(t, u.dir)
					path := filepath.Join(dir, name)
					data, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, damage(data, at), 0o666); err != nil {
						t.Fatal(err)
					}
					s := create(t, dir)
					n := wholeNodes(t, s)
					if n < 20 {
						t.Fatalf("%d nodes are left, 20 were synced", n)
					}
					lost.Add(int64(40 - n))
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					compact(t, dir) // which forgets what was deleted
					s = create(t, dir)
					if again := wholeNodes(t, s); again != n {
						t.Fatalf("%d nodes after it was closed and reopened, want %d", again, n)
					}
					for n := range 40 {
						if err := saveNode(s, n); err != nil {
							t.Fatal(err)
						}
					}
					if again, err := lineage.Fingerprint(s, ""); again != whole || err != nil {
						t.Errorf("run again, the ledger differs: %v", err)
					}
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					if n := wholeNodes(t, create(t, dir)); n != 40 {
						t.Errorf("%d nodes after it was closed and reopened, want 40", n)
					}
				})
			}
		}
	}
}

// compact waits for the lock, which a process that another test is about to
// start may share for a moment.
func compact(t *testing.T, dir string) {
	t.Helper()
	o := badger.DefaultOptions(filepath.Join(dir, indexName)).WithLogger(nil).WithCompactL0OnClose(true)
	index, err := badger.Open(o)
	for end := time.Now().Add(patience); err != nil && isLocked(err) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
		index, err = badger.Open(o)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := index.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedMiddleIsAnError(t *testing.T) {
	t.Parallel()
	u := unclosedLedger(t)
	flip := func(t *testing.T, dir, name string, at int) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[at] ^= 1
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("records", func(t *testing.T) {
		dir := copyLedger(t, u.dir)
		flip(t, dir, recordsName, u.synced[recordsName]/2)
		s := create(t, dir)
		bad := 0
		for key := range s.Keys("") {
			var raw lineage.Raw
			if _, err := s.Load(key, &raw); err == nil {
				continue
			} else if !strings.Contains(err.Error(), string(key)) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("Load gave %v, want the folder, the key and that it is damaged", err)
			}
			if err := s.Save(key, lineage.Raw("x")); err == nil || errors.Is(err, lineage.ErrRewritten) {
				t.Errorf("saving a damaged record gave %v", err)
			}
			bad++
		}
		if bad != 1 {
			t.Errorf("a flipped bit damaged %d records, want 1", bad)
		}
	})
	refused := func(t *testing.T, dir string) {
		t.Helper()
		if s, err := Open(dir, Options{}); err == nil {
			s.Close()
			t.Error("opened")
		} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("Open gave %v, want the folder and that it is damaged", err)
		}
		if l, err := Read(dir); err == nil {
			l.Close()
			t.Error("opened for reading")
		}
	}
	for name := range u.synced {
		if name == recordsName {
			continue
		}
		t.Run("log", func(t *testing.T) {
			dir := copyLedger(t, u.dir)
			flip(t, dir, name, u.synced[name]/2)
			refused(t, dir)
		})
	}
	closed := copyLedger(t, u.dir)
	create(t, closed).Close()
	tables, _ := filepath.Glob(filepath.Join(closed, indexName, "*.sst"))
	if len(tables) == 0 {
		t.Fatal("no table in the index of a closed ledger")
	}
	for _, quarter := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprintf("table/%d", quarter), func(t *testing.T) {
			dir := copyLedger(t, closed)
			name, _ := filepath.Rel(closed, tables[0])
			info, _ := os.Stat(tables[0])
			flip(t, dir, name, int(info.Size())*quarter/4)
			refused(t, dir)
		})
	}
	for _, name := range []string{recordsName, indexName, indexName + "/MANIFEST", syncedName} {
		t.Run("missing/"+name, func(t *testing.T) {
			dir := copyLedger(t, closed)
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			refused(t, dir)
		})
	}
}

// FuzzEntry feeds the decoder of entries with anything.
func FuzzEntry(f *testing.F) {
	path := filepath.Join(f.TempDir(), recordsName)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		f.Fatal(err)
	}
	r, err := openRecords(path, false)
	if err != nil {
		f.Fatal(err)
	}
	for _, size := range []int{0, 10, 300, 3000} {
		for _, data := range [][]byte{bytes.Repeat([]byte("text "), size/5), nodeRecord(size, 5)} {
			entry, err := r.encode(data)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(entry)
			for cut := range entry {
				f.Add(entry[:cut])
			}
		}
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		data, err := r.decode(entry)
		if err == nil && len(data) > maxRecord {
			t.Errorf("%d bytes", len(data))
		}
	})
}
