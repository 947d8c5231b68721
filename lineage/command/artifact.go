package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Kinds of artifact.
const (
	LoRA   = "lora"   // a PEFT adapter
	Full   = "full"   // weights in the form of transformers
	GGUF   = "gguf"   // an adapter or a model for llama.cpp
	Remote = "remote" // a model that somebody else keeps, by its name
	Bare   = "base"   // the pretrained model itself
)

// Artifact is a trained model: where its files are and what they are.
type Artifact struct {
	Kind    string              `json:"kind"`
	Path    string              `json:"path,omitempty"`   // of its folder or file in the run's folder
	Model   string              `json:"model,omitempty"`  // name that the trainer gave; of Remote the only one
	Base    string              `json:"base"`             // the pretrained model underneath
	Digest  string              `json:"digest"`           // of the files, or of a remote name
	Files   []File              `json:"files,omitempty"`  // by name
	Rank    int                 `json:"rank,omitempty"`   // of a LoRA
	Input   string              `json:"input"`            // InputSHA of the training
	Tokens  int                 `json:"tokens,omitempty"` // trained on, where the trainer tells
	Cost    float64             `json:"cost_usd,omitempty"`
	Losses  []Loss              `json:"losses,omitempty"` // the loss curve, thinned
	Metrics json.RawMessage     `json:"metrics,omitempty"`
	Probes  [][]lineage.Message `json:"probes,omitempty"` // prompts of the corpus that the model is held against its base with
}

// File is a file of an artifact.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const artifactMagic = "heirloom-command 1\n"

// MarshalBinary writes the artifact: what it is and not its weights, which lie
// in the run's folder.
func (a *Artifact) MarshalBinary() ([]byte, error) {
	data, err := json.Marshal(a)
	return append([]byte(artifactMagic), data...), err
}

func parseArtifact(data []byte) (*Artifact, error) {
	rest, ok := bytes.CutPrefix(data, []byte(artifactMagic))
	if !ok {
		return nil, errors.New("command: these are not the weights of a local trainer")
	}
	var a Artifact
	dec := json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	err := dec.Decode(&a)
	again, _ := a.MarshalBinary()
	switch {
	case err != nil || !bytes.Equal(again, data):
		return nil, errors.New("command: the record of the weights is damaged")
	case !slices.Contains([]string{LoRA, Full, GGUF, Remote, Bare}, a.Kind) || len(a.Digest) != 64:
		return nil, errors.New("command: the record of the weights is damaged: its kind or its digest is none")
	case a.Kind == Remote && a.Model == "" || a.kept() && !filepath.IsLocal(a.Path):
		return nil, errors.New("command: the record of the weights is damaged: it does not say where they are")
	}
	return &a, nil
}

// kept tells whether its weights lie in the run's folder.
func (a *Artifact) kept() bool { return a.Kind != Remote && a.Kind != Bare }

// name is what the model is called: one name for one content. A server that
// reads files where they are calls the same content in two places by two names.
func (a *Artifact) name() string { return "hl-" + hashed(a.Base, a.Digest)[:16] }

func (a *Artifact) nameAt(path string) string { return "hl-" + hashed(a.Base, a.Digest, path)[:16] }

// present sees that the files are there, by their sizes.
func (a *Artifact) present(folder string) error {
	if !a.kept() {
		return nil
	}
	for _, f := range a.Files {
		path := filepath.Join(folder, a.Path)
		if a.Kind != GGUF {
			path = filepath.Join(path, f.Name)
		}
		switch info, err := os.Stat(path); {
		case err != nil:
			return fmt.Errorf("command: the weights are gone: %w; put the file back, or run in a new folder", err)
		case info.Size() != f.Size:
			return fmt.Errorf("command: the weights are damaged: %s has %d bytes and had %d; put the file back, or run in a new folder", path, info.Size(), f.Size)
		}
	}
	return nil
}
