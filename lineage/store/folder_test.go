package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/heirloom-sim/heirloom/lineage"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func listing(t *testing.T, dir string) (names []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestForeignFolderIsRefusedAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		make  func(t *testing.T, dir string)
		is    error
		words []string
	}{
		"other files": {func(t *testing.T, dir string) {
			for _, name := range []string{"thesis.tex", "b", "c", "d", "e"} {
				write(t, filepath.Join(dir, name), "x")
			}
		}, ErrNot, []string{"other files", "b, c, d, …", "new folder"}},
		"other badger": {func(t *testing.T, dir string) {
			db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil))
			if err != nil {
				t.Fatal(err)
			}
			db.Close()
		}, ErrNot, []string{"Badger", "another program"}},
		"newer": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, formatName), `{"format":"heirloom ledger","version":2,"more":[]}`)
		}, nil, []string{"format 2", "up to 1", "newer heirloom"}},
		"other format": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, formatName), `{"format":"bank ledger","version":1}`)
		}, ErrNot, []string{"bank ledger"}},
		"no format": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, formatName), "\x00\xff")
		}, ErrNot, []string{formatName}},
		"file": {func(t *testing.T, dir string) {
			os.Remove(dir)
			write(t, dir, "x")
		}, ErrNot, []string{"file", "folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "d")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			c.make(t, dir)
			before := listing(t, dir)
			_, err1 := Create(dir, Options{})
			_, err2 := Open(dir, Options{})
			_, err3 := Read(dir)
			for _, err := range []error{err1, err2, err3} {
				if err == nil || c.is != nil && !errors.Is(err, c.is) {
					t.Fatalf("got %v, want %v", err, c.is)
				}
				for _, word := range append(c.words, "ledger "+dir+" ") {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q does not say %q", err, word)
					}
				}
			}
			if after := listing(t, dir); strings.Join(after, "\n") != strings.Join(before, "\n") {
				t.Errorf("the folder was changed: %q", after)
			}
		})
	}
}

func TestMissingLedgerIsNotMade(t *testing.T) {
	parent := t.TempDir()
	for _, dir := range []string{filepath.Join(parent, "no", "such"), parent} {
		_, err1 := Open(dir, Options{})
		_, err2 := Read(dir)
		for _, err := range []error{err1, err2} {
			if err == nil || !strings.Contains(err.Error(), dir) || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNot) {
				t.Errorf("%s: got %v", dir, err)
			}
		}
	}
	if names := listing(t, parent); len(names) != 1 {
		t.Errorf("made %q", names)
	}
	if _, err := Create(filepath.Join(parent, "a", "b"), Options{}); err != nil {
		t.Errorf("Create with missing parents: %v", err)
	}
}

func TestFolderMadeHalfwayIsFinished(t *testing.T) {
	for _, left := range []map[string]string{
		{recordsName: ""},
		{recordsName: "", syncedName: "0", formatName + ".part": `{"for`},
		{"lost+found": ""},
	} {
		dir := t.TempDir()
		for name, text := range left {
			write(t, filepath.Join(dir, name), text)
		}
		if err := create(t, dir).Save("node/a", 1); err != nil {
			t.Errorf("%v: %v", left, err)
		}
	}
}

func TestFreshLedgerIsSmall(t *testing.T) {
	dir := t.TempDir()
	s := create(t, dir)
	if err := saveNode(s, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for _, path := range listing(t, dir) {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
	}
	if size > 2<<20 {
		t.Errorf("a ledger of one node has %d bytes", size)
	}
}

func TestSecondWriterIsToldOfTheFirst(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	p.saved()
	began := time.Now()
	_, err := Create(dir, Options{})
	if !errors.Is(err, ErrHeld) {
		t.Fatalf("a second writer got %v, want ErrHeld", err)
	}
	for _, word := range []string{dir, strconv.Itoa(p.Process.Pid), "wait", "read meanwhile"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
	if waited := time.Since(began); waited > patience/2 {
		t.Errorf("the second writer was told after %v", waited)
	}
}

func TestCloseEndsAllThatRuns(t *testing.T) {
	dir := t.TempDir()
	create(t, dir).Close() // what a first use starts for good
	before := runtime.NumGoroutine()
	for range 3 {
		s := create(t, dir)
		if err := saveNode(s, 0); err != nil {
			t.Fatal(err)
		}
		r, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		wholeNodes(t, r)
		for range 2 {
			if err := errors.Join(r.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
		}
		var raw lineage.Raw
		for _, l := range []lineage.Ledger{s, r} {
			if _, err := l.Load(nodeKey(0), &raw); err == nil {
				t.Error("Load after Close gave no error")
			}
			if err := l.Save("node/x", 1); err == nil {
				t.Error("Save after Close gave no error")
			}
			for _, err := range l.Keys("") {
				if err == nil {
					t.Error("Keys after Close gave no error")
				}
			}
		}
	}
	after := runtime.NumGoroutine()
	for range 100 {
		if after = runtime.NumGoroutine(); after <= before {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if after > before {
		text := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, %d after:\n%s", before, after, text[:runtime.Stack(text, true)])
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "address*")); names != nil {
		t.Errorf("%q is left", names)
	}
}
