package store

import (
	"path/filepath"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
)

func create(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Create(dir, Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStoreIsALedger(t *testing.T) {
	t.Parallel()
	lineagetest.Ledger(t, func(t *testing.T) (lineage.Ledger, func() lineage.Ledger) {
		dir := filepath.Join(t.TempDir(), "ledger")
		s := create(t, dir)
		return s, func() lineage.Ledger {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = create(t, dir)
			return s
		}
	})
}
