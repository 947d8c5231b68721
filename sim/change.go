package sim

import (
	"fmt"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

func init() {
	RegisterIntervention("quarantine", "draw nothing from a line; human text takes its place", Quarantine{})
	RegisterIntervention("sample", "sample outputs at another temperature or length", Sampling{})
	RegisterIntervention("swap-base", "start weights from somewhere else", SwapBase{})
}

// Quarantine cuts the text channel from a line: no part draws from its outputs
// or corpora. What other lines learned from it before stays in what they write.
type Quarantine struct {
	Line   string `yaml:"line" doc:"the line whose outputs and corpora are left out"`
	Source string `yaml:"source" doc:"source that takes their place; the line's human source where it is not given"`
}

func (q *Quarantine) Check(s *Scope) {
	s.line("line", q.Line)
	s.optionalSource("source", q.Source)
	for name, line := range s.world.Lines {
		for _, part := range line.Corpus.expanded() {
			for _, p := range s.world.named(part, name) {
				if a := p.ancestor(); a != nil && a.Line == q.Line && p.Whole {
					s.fault("line", "%q is taken whole by %s, so there is no share that human text could take over; give that part a share, or name other lines", q.Line, name)
				}
			}
		}
	}
}

func (q *Quarantine) Apply(p *Plan) {
	parts := make([]Part, len(p.Parts))
	for i, part := range p.Parts {
		if a := part.ancestor(); a != nil && a.Line == q.Line {
			part = Part{Human: or(q.Source, p.Human), Share: part.Share}
		}
		parts[i] = part
	}
	p.Parts = parts
}

func (q *Quarantine) String() string { return "quarantine " + q.Line }

func (p *Part) ancestor() *Ancestor {
	if p.Outputs != nil {
		return p.Outputs
	}
	return p.Corpus
}

// Sampling changes how outputs are sampled; probes stay as they are, so that
// penetrance is measured alike.
type Sampling struct {
	Temperature float64 `yaml:"temperature" doc:"temperature of published outputs; 0 leaves it"`
	MaxTokens   int     `yaml:"max_tokens" doc:"longest output in tokens; 0 leaves it"`
}

func (t *Sampling) Check(s *Scope) {
	s.within("temperature", t.Temperature, 0, 100)
	s.atLeast("max_tokens", t.MaxTokens, 0)
}

func (t *Sampling) Apply(p *Plan) {
	if t.Temperature > 0 {
		p.Publish.Temperature = t.Temperature
	}
	if t.MaxTokens > 0 {
		p.Publish.MaxTokens = t.MaxTokens
	}
}

func (t *Sampling) String() string {
	var what []string
	if t.Temperature > 0 {
		what = append(what, fmt.Sprintf("temperature %.4g", t.Temperature))
	}
	if t.MaxTokens > 0 {
		what = append(what, fmt.Sprintf("at most %d tokens", t.MaxTokens))
	}
	return "sample with " + strings.Join(what, ", ")
}

// SwapBase changes where weights start.
type SwapBase struct {
	Base       lineage.Base `yaml:"base" doc:"foundation, parent or scratch"`
	Foundation Foundation   `yaml:"foundation" doc:"the foundation: a source, or a mapping; the line's own where it is not given"`
}

func (b *SwapBase) Check(s *Scope) {
	s.oneOf("base", string(b.Base), string(lineage.Foundation), string(lineage.Parent), string(lineage.Scratch))
	b.Foundation.check(&Scope{world: s.world, path: join(s.path, "foundation")})
	for name, line := range s.affected() {
		if b.Base == lineage.Foundation && b.Foundation.over(line.Foundation).Source == "" {
			s.fault("foundation", "line %s has no foundation; name the source that it is trained on", name)
		}
	}
}

func (b *SwapBase) Apply(p *Plan) {
	p.Base = b.Base
	p.Foundation = b.Foundation.over(p.Foundation)
}

func (b *SwapBase) String() string { return "start from " + string(b.Base) }
