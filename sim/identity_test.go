package sim

import (
	"encoding/json"
	"testing"

	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

// What a file of format 1 means does not change: these digests are of the nodes
// that earlier versions of the program made of it, and of all that they recorded.
func TestWhatWasMadeBeforeIsFoundAgain(t *testing.T) {
	study := webStudy(t)
	if got := fingerprint(t, ran(t, study, 2)); got != goldenLedger {
		t.Errorf("the ledger of the small study is %s, not %s", got, goldenLedger)
	}
	text, _ := catalogue.Scenario("trauma-narratives")
	scenario := compiled(t, "", string(text))
	nodes, err := json.Marshal(scenario.Record.Arms)
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(nodes); got != goldenNodes {
		t.Errorf("the nodes of the scenario are %s, not %s", got, goldenNodes)
	}
}
