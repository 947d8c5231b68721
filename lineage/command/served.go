package command

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// served is how a server is asked for a model, and for the base that the model
// is held against; base is "" where the server does not have it.
type served struct {
	model, base             string
	fresh                   bool // it was loaded just now
	extras, extrasOfTheBase map[string]any
}

// load makes the server have a model, under a name that belongs to its content.
// It may be called again at any time: what is there is not loaded twice. The
// caller holds b.serving.
func (b *Backend) load(ctx context.Context, a *Artifact) (s served, err error) {
	w := newWire(b.config.Serve)
	if a.Kind == Remote {
		return served{model: a.Model, base: b.config.Serve.Model}, nil
	}
	if a.Kind == Bare {
		s.model = or(b.config.Serve.Model, b.config.Base)
		if k := b.config.Serve.Kind; k == VLLM || k == SGLang || k == Mistral {
			all, err := w.models(ctx)
			if err == nil {
				s.model, err = b.baseAmong(all)
			}
			return s, err
		}
		return s, nil
	}
	switch b.config.Serve.Kind {
	case VLLM, Mistral:
		s, err = b.loadVLLM(ctx, w, a)
	case SGLang:
		s, err = b.loadSGLang(ctx, w, a)
	case LlamaCpp:
		s, err = b.loadLlamaCpp(ctx, w, a)
	case Ollama:
		s, err = b.loadOllama(ctx, w, a)
	case Hook:
		s, err = b.loadByHook(ctx, w, a)
	default:
		s = served{model: a.Model, base: b.config.Serve.Model}
		if s.model == "" {
			s.model = a.name()
		}
	}
	if err != nil {
		return s, fmt.Errorf("command: %s of %s: %w", a.Kind, a.Path, err)
	}
	return s, nil
}

// listed is an entry of /v1/models.
type listed struct {
	ID     string `json:"id"`
	Root   string `json:"root"`
	Parent string `json:"parent"`
}

func (w wire) models(ctx context.Context) ([]listed, error) {
	var list struct {
		Data []listed `json:"data"`
	}
	err := w.get(ctx, "GET", "/v1/models", nil, &list)
	return list.Data, err
}

func listing(all []listed, id string) *listed {
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// baseAmong is the name of the base on a server. A server of another base is an
// error: an adapter does not fit it, and if it did, its answers would be another
// model's.
func (b *Backend) baseAmong(all []listed) (string, error) {
	var others []string
	for _, m := range all {
		switch {
		case m.ID == b.config.Serve.Model, m.ID == b.config.Base, m.Root == b.config.Base && m.Parent == "":
			return m.ID, nil
		case m.Parent == "" && !strings.HasPrefix(m.ID, "hl-"):
			others = append(others, m.ID)
		}
	}
	return "", fmt.Errorf("%w: the server has %s and not the base %s; start it with that, or set serve.model to the name that it knows it by", lineage.ErrHalt, or(strings.Join(others, ", "), "no base model"), or(b.config.Serve.Model, b.config.Base))
}

// or gives b where a is nothing.
func or[T comparable](a, b T) T {
	var nothing T
	if a != nothing {
		return a
	}
	return b
}

// sameFile tells whether a server means the file by a path of its own.
func sameFile(told, path string) bool {
	return told == path || filepath.Clean(told) == filepath.Clean(path)
}
