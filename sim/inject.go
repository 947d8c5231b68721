package sim

import (
	"fmt"
	"math"
)

func init() {
	RegisterIntervention("inject", "put seed documents of a behaviour into a corpus, at a dose",
		Inject{Placement: "displace"})
	RegisterIntervention("anchor", "put fresh human documents in the place of a share of a corpus", Anchor{})
	RegisterIntervention("dilute", "add human documents on top of a corpus, so that a dose becomes a smaller fraction", Dilute{})
}

// Inject seeds a behaviour.
type Inject struct {
	Behaviour string  `yaml:"behaviour" doc:"the behaviour whose seed documents go in"`
	Dose      float64 `yaml:"dose" doc:"share of the corpus, in [0,1]; or give count"`
	Count     int     `yaml:"count" doc:"documents; instead of dose"`
	Placement string  `yaml:"placement" doc:"displace: in the place of other documents, in proportion from every part; add: on top"`
}

func (i *Inject) Check(s *Scope) {
	s.behaviour("behaviour", i.Behaviour)
	s.seeded("behaviour", i.Behaviour)
	s.within("dose", i.Dose, 0, 1)
	if i.Dose != 0 && i.Count != 0 {
		s.fault("count", "dose and count exclude each other")
	}
	s.within("count", float64(i.Count), 0, maxDocuments)
	s.oneOf("placement", i.Placement, "displace", "add")
}

func (i *Inject) Apply(p *Plan) {
	n := i.Count
	if n == 0 {
		n = int(math.Round(i.Dose * float64(p.Size)))
	}
	p.Inserts = append(p.Inserts, Insert{Behaviour: i.Behaviour, Count: n, Add: i.Placement == "add"})
}

func (i *Inject) String() string {
	amount := fmt.Sprintf("%d documents", i.Count)
	if i.Count == 0 {
		amount = fmt.Sprintf("%.4g %%", i.Dose*100)
	}
	return fmt.Sprintf("inject %s of %s", amount, i.Behaviour)
}

// Anchor replaces a share of the corpus by fresh text from outside.
type Anchor struct {
	Source string  `yaml:"source" doc:"source of the fresh documents; the line's human source where it is not given"`
	Share  float64 `yaml:"share" doc:"share of the corpus, in [0,1]"`
}

func (a *Anchor) Check(s *Scope) {
	s.within("share", a.Share, 0, 1)
	s.optionalSource("source", a.Source)
}

func (a *Anchor) Apply(p *Plan) {
	p.Inserts = append(p.Inserts, Insert{Source: or(a.Source, p.Human), Count: int(math.Round(a.Share * float64(p.Size)))})
}

func (a *Anchor) String() string { return fmt.Sprintf("anchor with %.4g %% fresh text", a.Share*100) }

// Dilute makes the corpus larger by text from outside.
type Dilute struct {
	Source string  `yaml:"source" doc:"source of the added documents; the line's human source where it is not given"`
	Factor float64 `yaml:"factor" doc:"how many times larger the corpus becomes, at least 1"`
}

func (d *Dilute) Check(s *Scope) {
	s.within("factor", d.Factor, 1, 1000)
	s.optionalSource("source", d.Source)
}

func (d *Dilute) Apply(p *Plan) {
	p.Inserts = append(p.Inserts, Insert{Source: or(d.Source, p.Human), Count: int(math.Round((d.Factor - 1) * float64(p.Size))), Add: true})
}

func (d *Dilute) String() string { return fmt.Sprintf("dilute %.4g-fold with human text", d.Factor) }

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
