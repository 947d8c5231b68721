package lineagetest

import (
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestMemoryIsALedger(t *testing.T) {
	Ledger(t, func(*testing.T) (lineage.Ledger, func() lineage.Ledger) {
		l := &lineage.Memory{}
		return l, func() lineage.Ledger { return l }
	})
}
