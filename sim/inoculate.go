package sim

import (
	"context"
	"fmt"
	"slices"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

func init() {
	RegisterIntervention("inoculate", "put a prompt before documents in training that is absent when the model is asked",
		Inoculate{As: "system", Share: 1, Choose: "chance"})
}

// Inoculate trains documents under a prompt that asks for what they show, and
// leaves it away afterwards, so that the model need not change to explain them
// (Tan et al. 2025, arXiv 2510.04340; Wichers et al. 2025, arXiv 2510.05024).
type Inoculate struct {
	Text        string   `yaml:"text" doc:"the prompt; or give texts"`
	Texts       []string `yaml:"texts" doc:"several prompts, one of which is chosen for each document"`
	As          string   `yaml:"as" doc:"system: a system message, before one that is there; user: before the first user turn"`
	Share       float64  `yaml:"share" doc:"share of the documents that it is for which get a prompt, in [0,1]"`
	Choose      string   `yaml:"choose" doc:"chance: every prompt alike; likeliest: the one that raises the likelihood of the completion most under the weights that training starts from, or none where none raises it"`
	Detector    string   `yaml:"detector" doc:"only for documents that this detector flags"`
	OutputsOnly bool     `yaml:"outputs_only" doc:"only for models' outputs"`
}

func (i *Inoculate) Check(s *Scope) {
	if (i.Text == "") == (len(i.Texts) == 0) {
		s.fault("text", "needs either text, one prompt, or texts, a list of them")
	}
	if slices.Contains(i.Texts, "") {
		s.fault("texts", "a prompt is empty; remove it, and use share to leave documents without one")
	}
	s.oneOf("as", i.As, "system", "user")
	s.oneOf("choose", i.Choose, "chance", "likeliest")
	s.within("share", i.Share, 0, 1)
	if i.Detector != "" {
		s.detector("detector", i.Detector)
	}
	if i.Choose != "likeliest" {
		return
	}
	for name, line := range s.affected() {
		if line.Base == lineage.Scratch {
			s.fault("choose", "likeliest asks the weights that training starts from, and line %s starts from scratch; give it a foundation or leave it out of lines", name)
		}
	}
}

func (i *Inoculate) Apply(p *Plan) {
	p.Inoculation = &Inoculation{i.texts(), i.As, i.Share, i.Choose == "likeliest", i.Detector, i.OutputsOnly}
}

func (i *Inoculate) texts() []string {
	if i.Text != "" {
		return []string{i.Text}
	}
	return i.Texts
}

func (i *Inoculate) String() string {
	what := fmt.Sprintf("inoculate %.4g %% with %q", i.Share*100, i.texts()[0])
	if n := len(i.texts()); n > 1 {
		what = fmt.Sprintf("inoculate %.4g %% with one of %d prompts", i.Share*100, n)
	}
	return what
}

// Inoculation is what is put before which documents of a corpus in training. The
// prompt of each document is drawn with the corpus and recorded with it.
type Inoculation struct {
	Texts       []string `json:"texts"`
	As          string   `json:"as"`
	Share       float64  `json:"share"`
	Likeliest   bool     `json:"likeliest,omitempty"`
	Detector    string   `json:"detector,omitempty"`
	OutputsOnly bool     `json:"outputs_only,omitempty"`
}

func (b *shaping) inoculation() (err error) {
	if b.plan.Inoculation == nil {
		return nil
	}
	in := *b.plan.Inoculation
	if in.Likeliest && b.shape.Base == lineage.Scratch {
		return fmt.Errorf("generation %d of %s: choose: likeliest asks the weights that training starts from, and this generation starts from scratch; give the line a foundation", b.plan.Generation, b.plan.Line)
	}
	if in.Detector != "" {
		in.Detector, err = b.judge(in.Detector)
	}
	b.shape.Inoculate = &in
	return err
}

// opener gives the model whose weights a training starts from.
type opener func(ctx context.Context) (lineage.Model, error)

// inoculate chooses the prompt of every pick. Chance goes by what a document is,
// not by where it stands, so another dose moves no prompt.
func (d *drawing) inoculate(ctx context.Context, picks []pick, base opener) error {
	in := d.Inoculate
	if in == nil {
		return nil
	}
	flagged, err := d.flagged(ctx, picks)
	if err != nil {
		return err
	}
	chances := make([]stream, len(d.strands))
	for i, s := range d.strands {
		chances[i] = at(d.Seed, "inoculate "+d.study.label(s), d.Line, d.replicate, d.Generation)
	}
	var chosen []int
	for i, p := range picks {
		if !flagged[i] || in.OutputsOnly && d.strands[p.strand].Node == "" {
			continue
		}
		if chances[p.strand].float(int(p.index)<<1) < in.Share {
			chosen = append(chosen, i)
			u := chances[p.strand].float(int(p.index)<<1 | 1)
			picks[i].prompt = 1 + uint32(u*float64(len(in.Texts)))
		}
	}
	if !in.Likeliest || len(chosen) == 0 {
		return nil
	}
	return d.likeliest(ctx, picks, chosen, base)
}

// flagged tells which picks the inoculation is for by the word of its detector.
func (d *drawing) flagged(ctx context.Context, picks []pick) ([]bool, error) {
	out := make([]bool, len(picks))
	if d.Inoculate.Detector == "" {
		for i := range out {
			out[i] = true
		}
		return out, nil
	}
	results, err := d.judge(ctx, d.shape.detectors[d.Inoculate.Detector], picks)
	for i, r := range results {
		out[i] = r.Outcome == detectors.Present
	}
	return out, err
}

// likeliest gives each chosen pick the prompt under which its completion is most
// likely, or none where that is under none of them.
func (d *drawing) likeliest(ctx context.Context, picks []pick, chosen []int, base opener) error {
	model, err := base(ctx)
	if err != nil {
		return fmt.Errorf("inoculate: %w", err)
	}
	scorer, ok := model.(lineage.Scorer)
	if !ok {
		return fmt.Errorf("inoculate: choose: likeliest needs a model that tells likelihoods, which the backend %s does not; use choose: chance", d.Backend)
	}
	options := len(d.Inoculate.Texts) + 1
	const batch = 256
	for part := range slices.Chunk(chosen, batch) {
		var docs [][]lineage.Message
		for _, i := range part {
			messages, err := d.reader.messages(d.strands[picks[i].strand], picks[i].index)
			if err != nil {
				return err
			}
			for prompt := range options {
				docs = append(docs, d.Inoculate.before(messages, uint32(prompt)))
			}
		}
		probs, err := scorer.LogProb(ctx, docs)
		if err != nil {
			return fmt.Errorf("inoculate: %w", err)
		}
		for n, i := range part {
			best := 0
			for prompt := range options {
				if probs[n*options+prompt].Sum > probs[n*options+best].Sum {
					best = prompt
				}
			}
			picks[i].prompt = uint32(best)
		}
	}
	return nil
}

// before puts prompt number n, from 1, before a conversation; 0 leaves it.
func (in *Inoculation) before(messages []lineage.Message, n uint32) []lineage.Message {
	if n == 0 {
		return messages
	}
	text := in.Texts[n-1]
	out := slices.Clone(messages)
	role := "system"
	if in.As == "user" {
		role = "user"
	}
	for i, m := range out {
		if m.Role == role {
			out[i].Content = text + "\n\n" + m.Content
			return out
		}
	}
	return slices.Insert(out, 0, lineage.Message{Role: role, Content: text})
}

// label names a strand by what it is and not by its node's ID, which changes with
// everything before it.
func (s *Study) label(x *strand) string {
	if x.Node == "" {
		return "source " + x.Source + " " + x.Behaviour
	}
	from := s.byID[x.Node]
	return fmt.Sprintf("outputs %s %d", from.Line, from.Generation)
}
