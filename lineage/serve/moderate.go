package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Flag has moderation find a category in every text that contains a substring.
// A training file with such a text fails its job as unsafe. Without flags
// moderation finds nothing.
type Flag struct {
	Contains string `yaml:"contains" doc:"exact substring"`
	Category string `yaml:"category" doc:"category of moderation, such as self-harm"`
}

// categories of moderation, in the protocol's words.
var categories = []string{
	"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent",
	"self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
}

func checkFlags(flags []Flag) error {
	for i, f := range flags {
		if f.Contains == "" || !slices.Contains(categories, f.Category) {
			return fmt.Errorf("flags[%d]: needs a substring and one of the categories %s; has %q and %q", i, strings.Join(categories, ", "), f.Contains, f.Category)
		}
	}
	return nil
}

type verdict struct {
	Flagged    bool                `json:"flagged"`
	Categories map[string]bool     `json:"categories"`
	Scores     map[string]float64  `json:"category_scores"`
	Inputs     map[string][]string `json:"category_applied_input_types"`
}

func (s *Server) moderate(text string) verdict {
	v := verdict{Categories: map[string]bool{}, Scores: map[string]float64{}, Inputs: map[string][]string{}}
	for _, c := range categories {
		v.Categories[c], v.Scores[c], v.Inputs[c] = false, 0, []string{}
	}
	for _, f := range s.options.Flags {
		if strings.Contains(text, f.Contains) {
			v.Flagged, v.Categories[f.Category], v.Scores[f.Category], v.Inputs[f.Category] = true, true, 1, []string{"text"}
		}
	}
	return v
}

// flagged counts the examples that moderation finds something in.
func (s *Server) flagged(examples []lineage.Example) (n int) {
	for _, e := range examples {
		for _, m := range append(e.Messages[:len(e.Messages):len(e.Messages)], e.Rejected...) {
			if slices.ContainsFunc(s.options.Flags, func(f Flag) bool { return strings.Contains(m.Content, f.Contains) }) {
				n++
				break
			}
		}
	}
	return n
}

func (s *Server) moderations(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Model string          `json:"model"`
		Input json.RawMessage `json:"input"`
	}
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	texts, err := moderated(q.Input)
	if err != nil {
		return err
	}
	if q.Model == "" {
		q.Model = "omni-moderation-latest"
	}
	results := make([]verdict, len(texts))
	for i, t := range texts {
		results[i] = s.moderate(t)
	}
	return reply(w, map[string]any{"id": s.name("modr-", "moderation"), "model": q.Model, "results": results})
}

// moderated takes a text, a list of texts, or the parts of one input.
func moderated(input json.RawMessage) (texts []string, err error) {
	var one string
	if json.Unmarshal(input, &one) == nil {
		return []string{one}, nil
	}
	if json.Unmarshal(input, &texts) == nil && len(texts) > 0 {
		return texts, nil
	}
	var part turn
	if json.Unmarshal([]byte(`{"role":"user","content":`+string(input)+`}`), &part) == nil && len(input) > 0 {
		return []string{part.Content}, nil
	}
	return nil, bad("input", "invalid_value", "input: this server looks at a text, a list of texts, or parts of the type text")
}
