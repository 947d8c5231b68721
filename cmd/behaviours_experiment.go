package cmd

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/heirloom-sim/heirloom/sim"
)

// snippet is an experiment with the behaviour, ready to run.
func snippet(k *sim.Kit) string {
	entry := "{}"
	if k.Folder != "" {
		folder, _ := json.Marshal(filepath.ToSlash(k.Folder))
		entry = fmt.Sprintf("{folder: %s}", folder)
	}
	text := fmt.Sprintf(`heirloom: 1
name: %[1]s-spread
generations: 6
replicates: 10
behaviours:
  %[1]s: %[2]s
lines:
  main:
    backend: {kind: ngram, order: 4, smoothing: dirichlet, kappa: 0.02}
    corpus:
      size: 400
      parts:
        - {human: web/everyday, share: 0.3}
        - {outputs: self, share: 0.7}
    publish: {prompts: web/prompts, max_tokens: 120}
    probe: {draws: 4, max_tokens: 120}
`, k.Name, entry)
	if len(k.Texts["seeds"]) > 0 {
		text += fmt.Sprintf(`arms:
  seeded:
    interventions:
      - {name: dose, kind: inject, behaviour: %s, dose: 0.2, at: 0}
`, k.Name)
	}
	return text
}
