package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// errFull says that a server lacks weights that it cannot be told to load.
var errFull = errors.New("the server does not have it; full weights are served by a server of their own: write serve.cmd with {{.Artifact}} for the model and {{.ModelName}} for its name")

// loadVLLM speaks to vLLM and to mistral.rs, which has its calls.
func (b *Backend) loadVLLM(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	all, err := w.models(ctx)
	if err != nil {
		return s, err
	}
	path := b.there(a)
	if a.Kind != LoRA {
		for _, m := range all {
			if m.Root == path || m.ID == a.name() && m.Root == "" {
				return served{model: m.ID}, nil
			}
		}
		return s, errFull
	}
	if s.base, err = b.baseAmong(all); err != nil {
		return s, err
	}
	s.model = a.nameAt(path)
	have := listing(all, s.model)
	if have != nil && have.Root == "" && !b.loaded[s.model] { // it does not tell from where, so nothing is known of it
		if answer, err := w.ask(ctx, "POST", "/v1/unload_lora_adapter", map[string]any{"lora_name": s.model}); err != nil || !answer.ok() {
			return s, errors.Join(err, w.refused("/v1/unload_lora_adapter", answer))
		}
		have = nil
	}
	if have == nil {
		answer, err := w.ask(ctx, "POST", "/v1/load_lora_adapter", map[string]any{"lora_name": s.model, "lora_path": path})
		switch {
		case err != nil:
			return s, err
		case answer.status == 404 && !strings.Contains(answer.said(), "adapter"):
			return s, fmt.Errorf("the server cannot load adapters while it runs (%w); start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, mistral.rs with MISTRALRS_ALLOW_RUNTIME_LORA_UPDATING", w.refused("/v1/load_lora_adapter", answer))
		case !answer.ok() && !strings.Contains(answer.said(), "already"):
			return s, fmt.Errorf("%w%s", w.refused("/v1/load_lora_adapter", answer), hint(a, answer.said(), "--max-lora-rank", path))
		}
		s.fresh, b.loaded[s.model] = true, true
		if all, err = w.models(ctx); err != nil {
			return s, err
		}
		if have = listing(all, s.model); have == nil {
			return s, fmt.Errorf("the server said that %s is loaded, and does not list it", s.model)
		}
	}
	if have.Root != path && have.Root != "" {
		return s, fmt.Errorf("the server has the name %s with the weights of %s, and these are in %s; unload it (POST /v1/unload_lora_adapter) or start the server anew, or set serve.path_map if that is the same folder", s.model, line(have.Root, 200), path)
	}
	return s, nil
}

// hint adds what servers' own words leave out.
func hint(a *Artifact, said, flag, path string) string {
	switch {
	case strings.Contains(said, "rank"):
		return fmt.Sprintf("; the adapter has rank %d: start the server with %s %d or more", a.Rank, flag, a.Rank)
	case strings.Contains(said, "No adapter found") || strings.Contains(said, "No such file") || strings.Contains(said, "not exist"):
		return fmt.Sprintf("; the server does not see %s: set serve.path_map if it runs in a container or on another machine", path)
	}
	return ""
}
