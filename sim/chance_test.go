package sim

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// whim is a detector that answers otherwise whenever it is asked.
type whim struct{}

func init() {
	detectors.Register("whim", "answers by chance", whim{}, func(detectors.Env, whim) (detectors.Detector, error) { return whim{}, nil })
}

func (whim) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	results := make([]detectors.Result, len(us))
	for i := range results {
		results[i] = detectors.Judged(rand.Float64(), .5, nil, "")
	}
	return results, ctx.Err()
}

// TestStoppedRunGoesOnThoughItsDetectorsAnswerByChance has a filter, a curator
// and a behaviour's detector that are no functions of the text. Each corpus stays
// as it was recorded, with the counts of its filters.
func TestStoppedRunGoesOnThoughItsDetectorsAnswerByChance(t *testing.T) {
	text := strings.NewReplacer("detector: trauma-narrative", "detector: whim", "trauma-narrative: {}", "trauma-narrative: {detectors: [whim]}").Replace(webText(1))
	study := compiled(t, slotDir(t, 30, 0), text, Override{"generations", "2"}, Override{"replicates", "1"},
		Override{"line.corpus.size", "15"}, Override{"line.publish.size", "30"}, Override{"line.probe.draws", "0"}, Override{"line.held_out", "null"})
	filtered := 0
	for n := int64(0); ; n++ {
		ledger := new(lineage.Memory)
		f := &failing{Ledger: ledger}
		f.left.Store(n)
		err := (&Runner{Study: study, Ledger: f, Workers: 2}).Run(context.Background())
		if err == nil {
			break
		}
		if !errors.Is(err, errStopped) {
			t.Fatalf("stopped at write %d: %v", n, err)
		}
		begun := map[lineage.Key]lineage.Raw{}
		for key := range ledger.Keys("corpus/") {
			var raw lineage.Raw
			ledger.Load(key, &raw)
			begun[key] = raw
		}
		if err := (&Runner{Study: study, Ledger: ledger, Workers: 2}).Run(context.Background()); err != nil {
			t.Fatalf("resumed after write %d: %v", n, err)
		}
		for id := range study.byID {
			var node lineage.Node
			var drawn lineage.Drawn
			var raw lineage.Raw
			for key, v := range map[lineage.Key]any{lineage.NodeKey(id): &node, lineage.CorpusKey(id): &drawn} {
				if ok, err := ledger.Load(key, v); !ok || err != nil {
					t.Fatal(key, ok, err)
				}
			}
			ledger.Load(lineage.CorpusKey(id), &raw)
			if old := begun[lineage.CorpusKey(id)]; old != nil && !bytes.Equal(old, raw) {
				t.Errorf("stopped at write %d: the corpus of %s was drawn again", n, id)
			}
			if node.Documents != drawn.Corpus.Len() || !slices.Equal(node.Filters, drawn.Filters) {
				t.Errorf("stopped at write %d: the node tells of %v, its corpus of %v", n, node.Filters, drawn.Filters)
			}
			filtered += len(node.Filters)
		}
	}
	if filtered == 0 {
		t.Error("no corpus was filtered")
	}
}
