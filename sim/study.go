package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Study is an experiment that is ready to run: everything that it names is
// open, and every node that it needs is known by its ID. Nothing has run.
type Study struct {
	File      *File
	Record    lineage.Study
	resources *resources
	detectors []*Detector
	truths    map[string]*Truth // by behaviour; those without labels have none
	jobs      [][]*job          // by generation, foundations first; each node once
	byID      map[lineage.ID]*job
	means     map[string]float64 // tokens a document of the corpora of a shape, once they were estimated
	quotes    map[string]quoted  // by shape
}

// quoted is what a node takes, and what its backend would ask for it.
type quoted struct {
	lineage.Quote
	work lineage.Work
}

// job is one node to be made.
type job struct {
	*shape
	id        lineage.ID
	replicate int
	nodes     []lineage.ID // what Refs point at
	from      lineage.ID   // where weights start, "" for scratch
	teacher   lineage.ID   // whose soft labels are learned, "" for none
	needed    bool         // a later node starts from its weights, or learns from them
}

func (j *job) String() string {
	switch {
	case j.Generation < 0 && j.replicate < 0:
		return j.Line + " foundation"
	case j.Generation < 0:
		return fmt.Sprintf("%s replicate %d foundation", j.Line, j.replicate)
	}
	return fmt.Sprintf("%s replicate %d generation %d", j.Line, j.replicate, j.Generation)
}

// maxNodes bounds the memory that a study takes before it runs.
const maxNodes = 10_000_000

// Compile opens what the experiment names and works out its nodes.
func Compile(f *File) (*Study, error) {
	s := &Study{File: f, resources: newResources(f.Dir, f.Means), byID: map[lineage.ID]*job{}, truths: map[string]*Truth{}, means: map[string]float64{}, quotes: map[string]quoted{}}
	first := f.Worlds[0]
	s.Record = lineage.Study{
		Name: first.Experiment.Name, Question: first.Question, Seed: first.Seed,
		Generations: first.Generations, Replicates: first.Replicates,
		Lines: slices.Sorted(maps.Keys(first.Lines)), Experiment: f.Text,
	}
	if err := s.watch(first); err != nil {
		return nil, s.fail(err)
	}
	if n := len(f.Worlds) * len(first.Lines) * first.Generations * first.Replicates; n > maxNodes {
		return nil, s.fail(fmt.Errorf("makes %d models; at most %d are run from one file", n, maxNodes))
	}
	s.jobs = make([][]*job, first.Generations+1)
	for _, w := range f.Worlds {
		if err := s.arm(w); err != nil {
			return nil, s.fail(fmt.Errorf("arm %s: %w", w.Name, err))
		}
	}
	s.dropTwins()
	for _, src := range s.resources.sources {
		s.Record.Sources = append(s.Record.Sources, lineage.Source{Name: src.name, Documents: src.Len(), Digest: src.digest})
	}
	slices.SortFunc(s.Record.Sources, func(a, b lineage.Source) int { return strings.Compare(a.Name+a.Digest, b.Name+b.Digest) })
	s.Record.Digest = recordDigest(s.Record)
	return s, nil
}

// fail words what is wrong with an experiment that only opening its parts shows.
func (s *Study) fail(err error) error {
	s.Close()
	return &Invalid{[]Fault{{File: s.File.Name, Message: err.Error()}}}
}

// Close releases the files that the study holds open.
func (s *Study) Close() error { return s.resources.Close() }

func (w *World) behaviourNames() []string { return slices.Sorted(maps.Keys(w.Behaviours)) }

// watch opens the detectors of every behaviour.
func (s *Study) watch(w *World) error {
	for _, name := range w.behaviourNames() {
		b := w.Behaviours[name]
		s.Record.Behaviours = append(s.Record.Behaviours, lineage.Behaviour{Name: name, Title: b.Title, About: b.About, Detectors: b.Detectors})
		for _, dn := range b.Detectors {
			d, err := s.resources.detector(w, dn)
			if err != nil {
				return err
			}
			if !slices.Contains(s.detectors, d) {
				s.detectors = append(s.detectors, d)
				s.Record.Detectors = append(s.Record.Detectors, d.record())
			}
		}
		if b.Labels == "" {
			continue
		}
		truth, err := s.resources.truth(w, b.Labels)
		if err != nil {
			return fmt.Errorf("behaviours.%s.labels: %w", name, err)
		}
		s.truths[name] = truth
		s.Record.Behaviours[len(s.Record.Behaviours)-1].Labels = truth.Digest
	}
	return nil
}

// arm works out the nodes of one world.
func (s *Study) arm(w *World) error {
	lines := slices.Sorted(maps.Keys(w.Lines))
	if !slices.Equal(lines, s.Record.Lines) {
		return fmt.Errorf("has the lines %v and the others have %v; every arm has the same lines", lines, s.Record.Lines)
	}
	rec := lineage.Arm{
		Name: w.Name, About: w.About, Control: w.Control, Baseline: w.Baseline, Cell: w.Cell,
		Events: w.events(), Nodes: make([][][]lineage.ID, len(lines)),
	}
	for l := range lines {
		rec.Nodes[l] = make([][]lineage.ID, w.Replicates)
		ids := make([]lineage.ID, w.Replicates*w.Generations)
		for r := range rec.Nodes[l] {
			rec.Nodes[l][r] = ids[r*w.Generations : (r+1)*w.Generations : (r+1)*w.Generations]
		}
	}
	for g := range w.Generations {
		for l, line := range lines {
			shape, err := s.resources.shape(w, w.plan(line, g))
			if err != nil {
				return err
			}
			for r := range w.Replicates {
				rec.Nodes[l][r][g] = s.node(shape, r, rec.Nodes, lines)
			}
			if err := s.checkPairs(s.byID[rec.Nodes[l][0][g]]); err != nil {
				return err
			}
		}
	}
	s.Record.Arms = append(s.Record.Arms, rec)
	return nil
}

// node gives the ID of a shape's node in one replicate, and enters it among the
// jobs when it is new.
func (s *Study) node(sh *shape, replicate int, grid [][][]lineage.ID, lines []string) lineage.ID {
	j := &job{shape: sh, replicate: replicate, nodes: make([]lineage.ID, len(sh.Refs))}
	for i, ref := range sh.Refs {
		j.nodes[i] = grid[slices.Index(lines, ref.Line)][replicate][ref.Generation]
	}
	switch {
	case sh.foundation != nil:
		j.from = s.founder(sh.foundation, replicate)
	case sh.base >= 0:
		j.from = j.nodes[sh.base]
		s.byID[j.from].needed = true
	}
	if sh.before >= 0 {
		s.byID[j.nodes[sh.before]].needed = true
	}
	switch {
	case sh.taught != nil:
		j.teacher = s.founder(sh.taught, replicate)
	case sh.Teacher != nil:
		j.teacher = j.nodes[sh.Teacher.Ref]
		s.byID[j.teacher].needed = true
	}
	j.id = sh.id(replicate, j.nodes)
	if s.byID[j.id] == nil {
		s.enter(j)
	}
	return j.id
}

// founder gives the node of a foundation for one replicate, and enters it among
// the jobs when it is new.
func (s *Study) founder(f *shape, replicate int) lineage.ID {
	if !f.perReplicate {
		replicate = -1
	}
	id := f.id(replicate, nil)
	if s.byID[id] == nil {
		s.enter(&job{shape: f, id: id, replicate: replicate, needed: true})
	}
	return id
}

func (s *Study) enter(j *job) {
	s.byID[j.id] = j
	s.jobs[j.Generation+1] = append(s.jobs[j.Generation+1], j)
}

// Nodes is the number of distinct nodes of the study.
func (s *Study) Nodes() int { return len(s.byID) }

// events puts interventions into words for the report.
func (w *World) events() (all []lineage.Event) {
	for _, iv := range w.Interventions {
		what := iv.Edit.String()
		if inject, ok := iv.Edit.(*Inject); ok && w.Control {
			if inject.Placement != "add" {
				continue
			}
			what += ", with human text in its place"
		}
		from, to := iv.span(w.Generations)
		all = append(all, lineage.Event{Kind: iv.Kind, What: what, Lines: iv.Lines, From: from, To: to})
	}
	return all
}

// dropTwins removes cells of the control that a sweep did not change: the same
// nodes under another name.
func (s *Study) dropTwins() {
	same := map[string]string{} // name of a dropped control to the one that stays
	var kept []lineage.Arm
	for _, a := range s.Record.Arms {
		twin := slices.IndexFunc(kept, func(b lineage.Arm) bool { return a.Control && b.Control && equalNodes(a, b) })
		if twin >= 0 {
			same[a.Name] = kept[twin].Name
			continue
		}
		kept = append(kept, a)
	}
	for i := range kept {
		if to, ok := same[kept[i].Baseline]; ok {
			kept[i].Baseline = to
		}
	}
	s.Record.Arms = kept
}

func equalNodes(a, b lineage.Arm) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(x, y [][]lineage.ID) bool {
		return slices.EqualFunc(x, y, func(p, q []lineage.ID) bool { return slices.Equal(p, q) })
	})
}

// recordDigest names a study by everything that its record says beside its digest.
func recordDigest(record lineage.Study) string {
	record.Digest = ""
	data, err := json.Marshal(record)
	if err != nil {
		panic("sim: the record of a study: " + err.Error())
	}
	return digest(data)
}
