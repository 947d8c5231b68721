package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Kinds of artifact.
const (
	LoRA   = "lora"   // a PEFT adapter
	Full   = "full"   // weights in the form of transformers
	GGUF   = "gguf"   // an adapter or a model for llama.cpp
	Remote = "remote" // a model that somebody else keeps, by its name
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
	case !slices.Contains([]string{LoRA, Full, GGUF, Remote}, a.Kind) || len(a.Digest) != 64:
		return nil, errors.New("command: the record of the weights is damaged: its kind or its digest is none")
	case a.Kind == Remote && a.Model == "" || a.Kind != Remote && !filepath.IsLocal(a.Path):
		return nil, errors.New("command: the record of the weights is damaged: it does not say where they are")
	}
	return &a, nil
}

// name is what the model is called: one name for one content. A server that
// reads files where they are calls the same content in two places by two names.
func (a *Artifact) name() string { return "hl-" + hashed(a.Base, a.Digest)[:16] }

func (a *Artifact) nameAt(path string) string { return "hl-" + hashed(a.Base, a.Digest, path)[:16] }

// present sees that the files are there, by their sizes.
func (a *Artifact) present(folder string) error {
	if a.Kind == Remote {
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

// weightFiles are the names of files that decide what a model says. Logs, states
// of optimisers and cards are none.
var weightFiles = []string{
	"adapter_config.json", "adapter_model.*", "config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json",
	"pytorch_model*.bin", "pytorch_model.bin.index.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json",
	"chat_template*",
}

// digestFiles reads the files of an artifact: one file, or the weight files of
// a folder. The digest covers names and contents.
func digestFiles(path string) (files []File, digest string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	dir, names := filepath.Dir(path), []string{filepath.Base(path)}
	if info.IsDir() {
		dir, names = path, nil
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, "", err
		}
		for _, e := range entries {
			weights := slices.ContainsFunc(weightFiles, func(p string) bool { ok, _ := filepath.Match(p, e.Name()); return ok })
			if weights && !e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	all := sha256.New()
	for _, name := range names { // ReadDir sorts
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, "", err
		}
		h := sha256.New()
		size, err := io.Copy(h, f)
		f.Sync() // what is committed is on the disk; a file that cannot be synced is read again when it is opened
		f.Close()
		if err != nil {
			return nil, "", err
		}
		sum := hex.EncodeToString(h.Sum(nil))
		files = append(files, File{name, size, sum})
		if info.IsDir() {
			fmt.Fprintf(all, "%s\n", name)
		}
		fmt.Fprintf(all, "%d %s\n", size, sum)
	}
	return files, hex.EncodeToString(all.Sum(nil)), nil
}

// wholeSafetensors sees that a file of weights was written to its end.
func wholeSafetensors(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return fmt.Errorf("%s is cut off", path)
	}
	length := binary.LittleEndian.Uint64(head[:])
	if length > 100<<20 || int64(length) > info.Size()-8 {
		return fmt.Errorf("%s is cut off, or no safetensors file", path)
	}
	header := make([]byte, length)
	if _, err := io.ReadFull(f, header); err != nil {
		return err
	}
	var tensors map[string]struct {
		Offsets []int64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(bytes.TrimRight(header, " "), &tensors); err != nil {
		return fmt.Errorf("%s has no header of safetensors: %w", path, err)
	}
	end := int64(0)
	for name, t := range tensors {
		if name != "__metadata__" && len(t.Offsets) == 2 {
			end = max(end, t.Offsets[1])
		}
	}
	if end == 0 || 8+int64(length)+end != info.Size() {
		return fmt.Errorf("%s has %d bytes where its header says %d", path, info.Size(), 8+int64(length)+end)
	}
	return nil
}

// find tells what kind of artifact a folder or file holds.
func find(path string) (kind string, rank int, err error) {
	if strings.HasSuffix(path, ".gguf") {
		f, err := os.Open(path)
		if err != nil {
			return "", 0, err
		}
		defer f.Close()
		var magic [4]byte
		if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "GGUF" {
			return "", 0, fmt.Errorf("%s is no GGUF file", path)
		}
		return GGUF, 0, nil
	}
	var config struct {
		PEFT          string   `json:"peft_type"`
		Rank          int      `json:"r"`
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	for _, form := range []struct{ kind, config, weights string }{
		{LoRA, "adapter_config.json", "adapter_model*"}, {Full, "config.json", "*.safetensors"}, {Full, "config.json", "pytorch_model*.bin"},
	} {
		data, err := os.ReadFile(filepath.Join(path, form.config))
		if err != nil {
			continue
		}
		if err := json.Unmarshal(data, &config); err != nil {
			return "", 0, fmt.Errorf("%s: %w", filepath.Join(path, form.config), err)
		}
		weights, _ := filepath.Glob(filepath.Join(path, form.weights))
		for _, w := range weights {
			if strings.HasSuffix(w, ".safetensors") {
				if err := wholeSafetensors(w); err != nil {
					return "", 0, err
				}
			}
		}
		if len(weights) > 0 {
			return form.kind, config.Rank, nil
		}
	}
	return "", 0, nil
}
