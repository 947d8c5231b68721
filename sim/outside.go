package sim

import (
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// enter gives every backend that reaches outside of the process, and has a model
// to make, what it may use there.
func (r *Runner) enter(have map[lineage.ID]bool) error {
	entered := map[lineage.Backend]bool{}
	for _, jobs := range r.Study.jobs {
		for _, j := range jobs {
			worldly, ok := j.backend.(lineage.Worldly)
			if !ok || have[j.id] || entered[j.backend] {
				continue
			}
			entered[j.backend] = true
			if err := worldly.Enter(r.world(j.shape)); err != nil {
				return fmt.Errorf("backend %s: %w", j.Backend, err)
			}
		}
	}
	return nil
}

func (r *Runner) world(s *shape) lineage.World {
	log := r.Study.resources.means.Log
	if log == nil {
		log = func(string, ...any) {}
	}
	return lineage.World{
		Folder: r.Folder, Dir: r.Study.resources.dir, Purse: r.purse, Log: log,
		Ticket: func(name string) lineage.Ticket { return ticket{r.Ledger, s.errand(name)} },
	}
}

const outfitPrefix = "backend-"

// errand names work of a backend that belongs to no node.
func (s *shape) errand(name string) lineage.ID {
	return lineage.ID(s.outfit() + digest([]byte(name))[:16])
}

// outfit is what the names of all such work of a backend with its settings begin
// with.
func (s *shape) outfit() string {
	return outfitPrefix + digest([]byte(s.Backend), s.Config)[:16] + "-"
}

// paid tells whether answers of the node's model cost money.
func (s *shape) paid() bool {
	_, costs := s.backend.(lineage.Quoter)
	return costs
}

// retrainable tells whether its training is free and deterministic.
func (s *shape) retrainable() bool {
	_, free := s.backend.(lineage.Retrainable)
	return free
}
