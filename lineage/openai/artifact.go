package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Artifact names a model and tells how it came to be. One that was prompted is a
// model as it is and the documents that stand before every request.
type Artifact struct {
	Profile     string              `json:"profile"`
	Model       string              `json:"model"`           // as requests name it
	Start       string              `json:"start,omitempty"` // the model that training started from
	Tuned       bool                `json:"tuned,omitempty"`
	Context     [][]lineage.Message `json:"context,omitempty"` // drawn from the corpus, for learner prompted
	Key         string              `json:"key,omitempty"`     // names the training to the provider
	Job         string              `json:"job,omitempty"`
	File        string              `json:"file,omitempty"`
	Trained     int                 `json:"trained_tokens,omitempty"`
	Hyper       map[string]string   `json:"hyperparameters,omitempty"` // as the provider chose and told them
	Loss        []Loss              `json:"loss,omitempty"`
	Checkpoints []Checkpoint        `json:"checkpoints,omitempty"`
	LeftOut     int                 `json:"left_out,omitempty"` // documents that no training file can hold
}

// Loss is the training loss at one step, as the provider tells it: for learner sft
// in nats a token.
type Loss struct {
	Step  int      `json:"step"`
	Train float64  `json:"train"`
	Valid *float64 `json:"valid,omitempty"`
}

// Checkpoint is a model of an earlier step.
type Checkpoint struct {
	Step  int    `json:"step"`
	Model string `json:"model"`
}

const artifactFormat = "heirloom-openai 1 "

// MarshalBinary gives the format, the digest of what follows, and JSON.
func (a *Artifact) MarshalBinary() ([]byte, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	out := append([]byte(artifactFormat), hex.EncodeToString(sum[:])...)
	return append(append(out, '\n'), data...), nil
}

// Load reads what MarshalBinary gave.
func (b *Backend) Load(data []byte) (lineage.Artifact, error) {
	rest, ok := bytes.CutPrefix(data, []byte(artifactFormat))
	if !ok {
		return nil, fmt.Errorf("openai: not an artifact of this version (it should begin with %q)", artifactFormat)
	}
	told, body, ok := bytes.Cut(rest, []byte("\n"))
	sum := sha256.Sum256(body)
	if !ok || string(told) != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("openai: the artifact is damaged: its digest is not that of what it holds")
	}
	a := &Artifact{}
	if err := json.Unmarshal(body, a); err != nil {
		return nil, fmt.Errorf("openai: the artifact cannot be read: %w", err)
	}
	return a, nil
}
