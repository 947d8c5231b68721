package cmd

import (
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
)

// leftRunning tells what goes on elsewhere when a run ends, "" for nothing.
func leftRunning(where folder, study lineage.Study, ledger lineage.Ledger) string {
	all, err := sim.Errands(ledger, study, string(where))
	if err != nil {
		return fmt.Sprintf("\nWhat goes on elsewhere cannot be told: %v", err)
	}
	var b strings.Builder
	for _, e := range all {
		if e.Work.Ended || e.Work.ID == "" {
			continue
		}
		if b.Len() == 0 {
			fmt.Fprintf(&b, "\nLeft running, and waited for when the run goes on (heirloom cancel %s ends it):", quoted(string(where)))
		}
		fmt.Fprintf(&b, "\n  %s %s at %s, for %s", e.Work.Kind, e.Work.ID, e.Work.Where, e.For)
	}
	return b.String()
}
