package command

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

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
