package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// result is what a trainer may write of its own accord, in result.json.
type result struct {
	Model    string           `json:"model"`    // name of a model that somebody else keeps
	Artifact string           `json:"artifact"` // folder or file of the weights, relative to OutDir
	Kind     string           `json:"kind"`
	Tokens   int              `json:"trained_tokens"`
	Metrics  json.RawMessage  `json:"metrics"`
	Cost     *number          `json:"cost_usd"`
	Blocked  *lineage.Blocked `json:"blocked"` // refused by a provider for its content
}

func readResult(dir string) (r result, err error) {
	path := filepath.Join(dir, resultFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = loose(data, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if r.Cost != nil && !(*r.Cost >= 0 && *r.Cost < 1e8) {
		return r, fmt.Errorf("%s: cost_usd is %v, which is no amount of money", path, *r.Cost)
	}
	return r, nil
}

// artifactOf makes the artifact of an attempt that ended well. Its path is the
// one that it will have once the attempt is renamed.
func (w *work) artifactOf(a attempt, r result, m *metrics) (*Artifact, error) {
	out := &Artifact{
		Kind: r.Kind, Model: line(r.Model, 500), Base: w.vars.BaseModel, Input: w.vars.InputSHA,
		Tokens: max(r.Tokens, m.tokens, 0), Losses: m.curve(), Metrics: r.Metrics, Probes: w.file.probes,
	}
	if r.Cost != nil {
		out.Cost = float64(*r.Cost)
	}
	if r.Kind != "" && !slices.Contains([]string{LoRA, Full, GGUF, Remote}, r.Kind) {
		return nil, fmt.Errorf("%s: kind %q is none of lora, full, gguf, remote", resultFile, line(r.Kind, 40))
	}
	if r.Kind == Remote || r.Kind == "" && r.Model != "" && r.Artifact == "" {
		return out, w.remote(out)
	}
	inside, err := within(a.dir, r.Artifact)
	if err != nil {
		return nil, err
	}
	kind, rank, err := find(filepath.Join(a.dir, inside))
	if err == nil && kind == "" && r.Artifact == "" {
		if found, _ := filepath.Glob(filepath.Join(a.dir, "*.gguf")); len(found) == 1 {
			inside = filepath.Base(found[0])
			kind, rank, err = find(found[0])
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("the weights are not whole: %w", err)
	case kind == "":
		return nil, fmt.Errorf("it ended with exit status 0 and left no model in %s: neither adapter_config.json with adapter_model.safetensors, nor config.json with weights, nor one GGUF file, nor a result.json that names one", filepath.Join(a.dir, inside))
	case r.Kind != "" && r.Kind != kind:
		return nil, fmt.Errorf("%s says kind %s, and what lies there is %s", resultFile, r.Kind, kind)
	case w.vars.Mode == Merge && w.vars.ParentModel != "" && kind == LoRA:
		return nil, errors.New("mode: merge needs full weights or GGUF: an adapter on top of a merged base cannot be served on the base alone")
	}
	out.Kind, out.Rank = kind, rank
	out.Path = filepath.Join(trainings, w.vars.Node, inside)
	out.Files, out.Digest, err = digestFiles(filepath.Join(a.dir, inside))
	return out, err
}

// remote completes an artifact that somebody else keeps. Its name is all that
// is known of it, so the digest is the name's and its training's.
func (w *work) remote(out *Artifact) error {
	if out.Model == "" {
		return fmt.Errorf("%s says kind remote and gives no model", resultFile)
	}
	out.Kind = Remote
	out.Digest = hashed("remote", out.Model, out.Input)
	return nil
}

// within gives a path inside of a folder, relative to it.
func within(dir, path string) (string, error) {
	if path == "" {
		return ".", nil
	}
	inside := path
	if filepath.IsAbs(path) {
		var err error
		if inside, err = filepath.Rel(dir, path); err != nil {
			inside = ".."
		}
	}
	inside = filepath.Clean(inside)
	if !filepath.IsLocal(inside) {
		return "", fmt.Errorf("%s: artifact %q lies outside of the attempt's folder; write it into {{.OutDir}}", resultFile, line(path, 200))
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, inside))
	if err != nil {
		return "", fmt.Errorf("%s: artifact: %w", resultFile, err)
	}
	home, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(home, real); err != nil || strings.HasPrefix(rel, "..") {
		return "", fmt.Errorf("%s: artifact %q leads out of the attempt's folder; copy the weights into {{.OutDir}}", resultFile, line(path, 200))
	}
	return inside, nil
}
