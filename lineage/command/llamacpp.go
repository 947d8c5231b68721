package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// loadLlamaCpp finds the model in a llama-server, which takes its files when it
// is started and none later. An adapter is chosen by each request.
func (b *Backend) loadLlamaCpp(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	if a.Kind != GGUF {
		return s, errors.New("llama.cpp reads GGUF; have the training convert it (convert_lora_to_gguf.py) and name the file in result.json: {\"artifact\": \"adapter.gguf\"}")
	}
	adapter, err := isAdapter(b.here(a))
	if err != nil {
		return s, err
	}
	path := b.there(a)
	if !adapter {
		var props struct {
			Path string `json:"model_path"`
		}
		if err := w.get(ctx, http.MethodGet, "/props", nil, &props); err != nil {
			return s, err
		}
		if !sameFile(props.Path, path) {
			return s, fmt.Errorf("the server has %s; start it with -m %s, or write serve.cmd: [llama-server, -m, \"{{.Artifact}}\", --port, \"{{.Port}}\"]", line(props.Path, 200), path)
		}
		return served{model: a.name()}, nil
	}
	var adapters []struct {
		ID   int    `json:"id"`
		Path string `json:"path"`
	}
	if err := w.get(ctx, http.MethodGet, "/lora-adapters", nil, &adapters); err != nil {
		return s, err
	}
	for _, l := range adapters {
		if sameFile(l.Path, path) {
			scale := func(x float64) map[string]any {
				return map[string]any{"lora": []any{map[string]any{"id": l.ID, "scale": x}}}
			}
			return served{model: a.name(), base: b.config.Base, extras: scale(1), extrasOfTheBase: scale(0)}, nil
		}
	}
	return s, fmt.Errorf("the server was not started with it, and llama-server takes no adapter later; start it with --lora %s, or write serve.cmd: [llama-server, -m, BASE.gguf, --lora, \"{{.Artifact}}\", --lora-init-without-apply, --port, \"{{.Port}}\"]", path)
}
