package sim

import (
	"encoding/json"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// recipeVersion is part of every identity. It changes when the same words come
// to mean different draws.
const recipeVersion = 1

// recipe is a plan with everything looked up: what decides a node, but for its
// replicate and the nodes that it draws from. Its JSON is the larger part of a
// node's identity, so a field added later is left out of it when zero.
type recipe struct {
	Version    int             `json:"v"`
	Seed       uint64          `json:"seed"`
	Line       string          `json:"line"`
	Generation int             `json:"generation"`
	Backend    string          `json:"backend"`
	Config     json.RawMessage `json:"config"`
	Learner    lineage.Learner `json:"learner"`
	Base       lineage.Base    `json:"base"`
	Foundation lineage.ID      `json:"foundation,omitempty"`
	Teacher    *mentor         `json:"teacher,omitempty"`
	Size       int             `json:"size"`
	Blocks     []block         `json:"blocks"`
	Filters    []Filter        `json:"filters,omitempty"`   // detectors by digest
	Refill     *segment        `json:"refill,omitempty"`    // what seeds that a filter removed make way for
	Inoculate  *Inoculation    `json:"inoculate,omitempty"` // the detector by digest
	Sanitise   []Sanitising    `json:"sanitise,omitempty"`
	Refs       []ref           `json:"refs"`
	Publish    asking          `json:"publish"`
	Probe      asking          `json:"probe"`
	HeldOut    string          `json:"held_out,omitempty"`
	OnBlocked  string          `json:"on_blocked,omitempty"` // stop where it is not given
}

// ref points at an ancestor in the same replicate.
type ref struct {
	Line       string `json:"line"`
	Generation int    `json:"generation"`
}

// block is a run of positions of the corpus that is filled from one pool.
type block struct {
	Pool     string    `json:"pool"` // names the permutation that draws follow
	Segments []segment `json:"segments"`
	Start    int       `json:"start"` // first position; inserts count from 0
	Count    int       `json:"count"` // -1: the whole pool
	Curation *Curation `json:"curation,omitempty"`
}

const whole = -1

// segment is a stretch of a pool: a source, or what a node published or was
// trained on.
type segment struct {
	Source    string `json:"source,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Behaviour string `json:"behaviour,omitempty"`
	Ref       int    `json:"ref"` // index in Refs; -1 for a source
	Corpus    bool   `json:"corpus,omitempty"`
	Pairs     bool   `json:"-"` // of a source: its documents are pairs, which its digest tells
}

type asking struct {
	Prompts     string  `json:"prompts,omitempty"`
	Count       int     `json:"count,omitempty"`
	Temperature float64 `json:"temperature,omitempty"`
	MaxTokens   int     `json:"max_tokens,omitempty"`
}

// shape is a recipe with its digest and the things that it names.
type shape struct {
	recipe
	digest       string
	json         []byte
	backend      lineage.Backend
	detectors    map[string]*Detector // by digest: of filters, curation and inoculation
	publish      *prompts
	questions    *prompts
	heldOut      *source
	foundation   *shape // that weights come from, nil for none
	taught       *shape // the foundation that is the teacher, nil for none
	base         int    // index in Refs of the parent that weights come from, or -1
	perReplicate bool   // of a foundation: one for each replicate
	before       int    // index in Refs of the model that stands in for a blocked one, or -1
}

func (s *shape) seal() error {
	data, err := json.Marshal(s.recipe)
	if err != nil {
		return err
	}
	s.json, s.digest = data, digest(data)
	return nil
}

// id names the node of one replicate, given the nodes that the refs point at.
func (s *shape) id(replicate int, nodes []lineage.ID) lineage.ID {
	parts := make([][]byte, 0, len(nodes)+2)
	parts = append(parts, []byte(s.digest), fmt.Append(nil, replicate))
	for _, n := range nodes {
		parts = append(parts, []byte(n))
	}
	return lineage.ID(digest(parts...))
}
