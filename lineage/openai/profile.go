package openai

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Dialects of the protocol.
const (
	dialectOpenAI = "openai" // files and fine-tuning jobs as OpenAI has them
	dialectAzure  = "azure"  // the same under deployments and api-version, with another header for the key
	dialectChat   = "chat"   // no fine-tuning by this protocol
)

// Profile is what is known of one provider: data, in profiles.json, that a
// configuration may correct. A zero bound is not known, or there is none.
type Profile struct {
	Name       string            `json:"-"`
	About      string            `json:"about"`
	BaseURL    string            `json:"base_url"`
	KeyEnv     string            `json:"key_env"`
	Dialect    string            `json:"dialect"`
	APIVersion string            `json:"api_version"` // of dialect azure
	Local      bool              `json:"local"`       // nobody is paid
	Learners   []lineage.Learner `json:"learners"`
	MaxTokens  string            `json:"max_tokens"` // what the bound of an answer is called
	Seed       bool              `json:"seed"`       // a seed is taken with a request
	Batch      bool              `json:"batch"`
	Metadata   bool              `json:"metadata"` // jobs carry metadata
	Moderation bool              `json:"moderation"`
	Deploys    bool              `json:"deploys"`    // a tuned model answers only after it was deployed by hand
	SuffixMax  int               `json:"suffix_max"` // characters
	Jobs       int               `json:"jobs"`       // fine-tuning jobs at once
	Rows       Rows              `json:"rows"`
	States     map[string]string `json:"states"` // other words for the states of a job, in lower case
	Closing    []Closing         `json:"closing"`
	Models     []Known           `json:"models"`
	Given      *Price            `json:"-"` // by the configuration, of its one model
}

// Rows bounds a training file.
type Rows struct {
	Min        int `json:"min"`
	Tokens     int `json:"tokens"` // of one row
	FileBytes  int `json:"file_bytes"`
	FileTokens int `json:"file_tokens"` // of one pass over the file
}

// Closing is a date from which a provider offers less.
type Closing struct {
	Date string `json:"date"` // YYYY-MM-DD
	What string `json:"what"`
	All  bool   `json:"all"` // nobody can tune from then on
}

// Known is what is known of a family of models: those named Name, or Name and a
// date. Prices are in US dollars for a million tokens.
type Known struct {
	Name     string            `json:"name"`
	Base     *Price            `json:"base"`     // of the model as it is
	Tuned    *Price            `json:"tuned"`    // of what is fine-tuned from it
	Shutdown map[string]string `json:"shutdown"` // date by model; "" for the whole family
	AsOf     string            `json:"as_of"`
	Source   string            `json:"source"`
}

// Price is in US dollars for a million tokens; what is 0 is not known.
type Price struct {
	Train  float64 `json:"train" yaml:"train" doc:"US dollars for a million trained tokens; 0 where it is not known"`
	Input  float64 `json:"input" yaml:"input" doc:"for a million tokens of prompts"`
	Cached float64 `json:"cached" yaml:"cached" doc:"for a million tokens of prompts that the provider has in its cache"`
	Output float64 `json:"output" yaml:"output" doc:"for a million tokens of answers"`
	Basis  string  `json:"-"` // where it comes from
}

// cost of so many tokens at a price for a million, rounded up.
func cost(tokens int, price float64) lineage.USD {
	return lineage.USD(math.Ceil(float64(tokens) * price * float64(lineage.Dollar) / 1e6))
}

//go:embed profiles.json
var profileData []byte

var profiles = func() map[string]Profile {
	var all map[string]Profile
	if err := json.Unmarshal(profileData, &all); err != nil {
		panic("openai: profiles.json: " + err.Error())
	}
	for name, p := range all {
		p.Name = name
		all[name] = p
	}
	return all
}()

// profileNamed gives what is known of a provider.
func profileNamed(name string) (Profile, error) {
	p, ok := profiles[name]
	if !ok {
		return p, fmt.Errorf("profile: %q is not one of %s", name, strings.Join(slices.Sorted(maps.Keys(profiles)), ", "))
	}
	return p, nil
}

// baseOf is the model that a fine-tuned one was made from: ft:BASE:ORG:SUFFIX:ID.
func baseOf(model string) (base string, tuned bool) {
	if rest, ok := strings.CutPrefix(model, "ft:"); ok {
		base, _, _ = strings.Cut(rest, ":")
		return base, true
	}
	return model, false
}

// known finds the family of a model.
func (p Profile) known(model string) (Known, bool) {
	base, _ := baseOf(model)
	for _, k := range p.Models {
		rest, ok := strings.CutPrefix(base, k.Name)
		if ok && (rest == "" || len(rest) > 2 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9') {
			return k, true
		}
	}
	return Known{}, false
}

// Price is what a model costs; tuned tells that it is a fine-tune of the model
// that is named. ok is false where nobody knows.
func (p Profile) Price(model string, tuned bool) (price Price, ok bool) {
	if p.Given != nil {
		price = *p.Given
		price.Basis = "prices of the experiment file"
		return price, true
	}
	if p.Local {
		return Price{Basis: "a server of one's own: nobody is paid"}, true
	}
	k, _ := p.known(model)
	if _, named := baseOf(model); named {
		tuned = true
	}
	of := k.Base
	if tuned {
		of = k.Tuned
	}
	if of == nil {
		return Price{}, false
	}
	price = *of
	price.Basis = fmt.Sprintf("%s, as of %s: %s", p.Name, k.AsOf, k.Source)
	return price, true
}

// shutdown is the date from which a model and all that was tuned from it do not
// answer, "" where none is known.
func (p Profile) shutdown(model string) string {
	k, _ := p.known(model)
	base, _ := baseOf(model)
	if date, ok := k.Shutdown[base]; ok {
		return date
	}
	return k.Shutdown[""]
}
