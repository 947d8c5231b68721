package store

import (
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
)

// throughSocket writes to a store and reads it as another process would.
type throughSocket struct {
	*Store
	reader *Reader
}

func (l throughSocket) Load(key lineage.Key, v any) (bool, error) { return l.reader.Load(key, v) }
func (l throughSocket) Keys(prefix lineage.Key) iter.Seq2[lineage.Key, error] {
	return l.reader.Keys(prefix)
}

func TestReaderOfAnOpenLedgerIsALedger(t *testing.T) {
	t.Parallel()
	lineagetest.Ledger(t, func(t *testing.T) (lineage.Ledger, func() lineage.Ledger) {
		dir := t.TempDir()
		open := func() throughSocket {
			s := create(t, dir)
			r, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := r.source.(*remote); !ok {
				t.Fatalf("reads an open ledger by %T", r.source)
			}
			t.Cleanup(func() { r.Close() })
			return throughSocket{s, r}
		}
		l := open()
		return l, func() lineage.Ledger {
			if err := errors.Join(l.reader.Close(), l.Close()); err != nil {
				t.Fatal(err)
			}
			l = open()
			return l
		}
	})
}

// TestReaderFollowsTheWriter reads while another process writes, when that is
// killed, when the next one writes, and when that one closes.
func TestReaderFollowsTheWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir, paceVariable+"=5ms")
	last := p.saved()
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	grew, n := 0, 0
	for range 10 {
		now := wholeNodes(t, r)
		if now < n {
			t.Fatalf("%d nodes, there were %d", now, n)
		} else if now > n {
			grew++
		}
		n = now
	}
	if grew < 3 {
		t.Errorf("of 10 looks %d saw something new", grew)
	}
	if last = p.kill(last); wholeNodes(t, r) <= last {
		t.Errorf("after a kill the reader misses nodes, %d were saved", last+1)
	}
	r.Close()

	q := start(t, dir, paceVariable+"=5ms")
	if q.saved() < 0 {
		t.Fatalf("the next writer says %s", q.stderr.String())
	}
	if r, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wholeNodes(t, r)
	q.stdin.Close()
	last = q.finish(t)
	if wholeNodes(t, r) <= last {
		t.Errorf("after a close the reader misses nodes, %d were saved", last+1)
	}
	if err := r.Save("node/x", 1); err == nil || !strings.Contains(err.Error(), "reading") {
		t.Errorf("Save of a reader gave %v", err)
	}
}

// finish waits for a process that ends by itself and gives the last node saved.
func (p *process) finish(t *testing.T) (last int) {
	last = -1
	for n := p.saved(); n >= 0; n = p.saved() {
		last = n
	}
	if err := p.Wait(); err != nil {
		t.Errorf("the writer ended with %v: %s", err, p.stderr.String())
	}
	return last
}

func TestStaleAddressIsNoObstacle(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir, paceVariable+"=5ms")
	p.saved()
	p.kill(0)
	address, err := os.ReadFile(filepath.Join(dir, addressName))
	if err != nil {
		t.Fatalf("a killed writer leaves no address: %v", err)
	}
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	wholeNodes(t, r)
	r.Close()
	create(t, dir).Close()
	if _, err := os.Stat(filepath.Dir(string(address))); err == nil {
		t.Errorf("the socket of a killed writer is still there: %s", address)
	}
}

func TestReadersShareAndWriterWaitsForThem(t *testing.T) {
	dir := t.TempDir()
	s := create(t, dir)
	if err := saveNode(s, 0); err != nil {
		t.Fatal(err)
	}
	s.Close()
	var readers []*Reader
	for range 2 {
		r, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if n := wholeNodes(t, r); n != 1 {
			t.Errorf("%d nodes, want 1", n)
		}
		readers = append(readers, r)
	}
	time.AfterFunc(100*time.Millisecond, func() { readers[0].Close(); readers[1].Close() })
	if err := saveNode(create(t, dir), 1); err != nil {
		t.Fatal(err)
	}
}

func TestLongTemporaryFolderIsNoObstacle(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(long, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", long)
	dir := t.TempDir()
	s := create(t, dir)
	if err := saveNode(s, 0); err != nil {
		t.Fatal(err)
	}
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := wholeNodes(t, r); n != 1 {
		t.Errorf("%d nodes, want 1", n)
	}
}
