package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// sglangLoaded holds the server's list of adapters against what it was told.
func sglangLoaded(a answer, name, path string) error {
	var reply struct {
		Success *bool                      `json:"success"`
		Message string                     `json:"error_message"`
		Loaded  map[string]json.RawMessage `json:"loaded_adapters"`
	}
	if err := json.Unmarshal(a.body, &reply); err != nil {
		return fmt.Errorf("the server answered %s", a.said())
	}
	if reply.Success != nil && !*reply.Success {
		return fmt.Errorf("the server did not load it: %s", line(reply.Message, longestLine))
	}
	told, ok := reply.Loaded[name]
	if !ok {
		return nil // an older server does not list them
	}
	var plain string
	var ref struct {
		Path string `json:"lora_path"`
	}
	if json.Unmarshal(told, &plain) != nil {
		json.Unmarshal(told, &ref)
		plain = ref.Path
	}
	if plain != "" && !sameFile(plain, path) {
		return fmt.Errorf("the server has the name %s with the weights of %s, and these are in %s; unload it (POST /unload_lora_adapter)", name, line(plain, 200), path)
	}
	return nil
}

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

// loadOllama makes a model in Ollama's own store. Its name is that of its
// content, base and context.
func (b *Backend) loadOllama(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	base := or(b.config.Serve.Model, b.config.Base)
	s = served{model: fmt.Sprintf("%s-%d", a.name(), b.config.Serve.Context), base: base}
	var tags struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := w.get(ctx, http.MethodGet, "/api/tags", nil, &tags); err != nil {
		return s, err
	}
	hasBase := false
	for _, m := range tags.Models {
		switch strings.TrimSuffix(m.Name, ":latest") {
		case s.model:
			return s, nil
		case strings.TrimSuffix(base, ":latest"):
			hasBase = true
		}
	}
	body := map[string]any{"model": s.model, "parameters": map[string]any{"num_ctx": b.config.Serve.Context}, "stream": false}
	blobs, err := b.blobs(ctx, w, a)
	if err != nil {
		return s, err
	}
	adapter := a.Kind == LoRA
	if a.Kind == GGUF {
		if adapter, err = isAdapter(b.here(a)); err != nil {
			return s, err
		}
	}
	switch {
	case !adapter:
		body["files"], s.base = blobs, ""
	case !hasBase:
		return s, fmt.Errorf("ollama does not have the base %s; fetch it with ollama pull, or set serve.model to its name there", base)
	default:
		body["from"], body["adapters"] = base, blobs
	}
	var reply struct {
		Status string `json:"status"`
		Error  string `json:"error"`
	}
	if err := w.get(ctx, http.MethodPost, "/api/create", body, &reply); err != nil {
		return s, err
	}
	if reply.Error != "" || reply.Status != "success" {
		return s, fmt.Errorf("ollama did not make the model: %s", line(reply.Error+" "+reply.Status, longestLine))
	}
	s.fresh = true
	return s, nil
}

// blobs uploads the files that Ollama does not have, and gives their digests by
// name.
func (b *Backend) blobs(ctx context.Context, w wire, a *Artifact) (map[string]string, error) {
	out := map[string]string{}
	for _, f := range a.Files {
		path := b.here(a)
		if a.Kind != GGUF {
			path = filepath.Join(path, f.Name)
		}
		digest := "sha256:" + f.SHA256
		out[f.Name] = digest
		have, err := w.ask(ctx, http.MethodHead, "/api/blobs/"+digest, nil)
		if err != nil {
			return nil, err
		}
		if have.ok() {
			continue
		}
		in, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		answer, err := w.ask(ctx, http.MethodPost, "/api/blobs/"+digest, in)
		in.Close()
		if err != nil {
			return nil, err
		}
		if !answer.ok() {
			return nil, w.refused("/api/blobs", answer)
		}
	}
	return out, nil
}
