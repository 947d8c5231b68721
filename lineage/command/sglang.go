package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

func (b *Backend) loadSGLang(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	all, err := w.models(ctx)
	if err != nil {
		return s, err
	}
	path := b.there(a)
	if a.Kind != LoRA {
		for _, m := range all {
			if m.Root == path || m.ID == path || m.ID == a.name() {
				return served{model: m.ID}, nil
			}
		}
		return s, errFull
	}
	if s.base, err = b.baseAmong(all); err != nil {
		return s, err
	}
	name := a.nameAt(path)
	s.model = s.base + ":" + name
	if m := listing(all, name); m != nil && m.Root == path {
		return s, nil
	}
	body := map[string]any{"lora_name": name, "lora_path": path, "pinned": false}
	for unloaded := false; ; unloaded = true {
		answer, err := w.ask(ctx, "POST", "/load_lora_adapter", body)
		if err != nil {
			return s, err
		}
		said := answer.said()
		if answer.ok() {
			s.fresh, b.loaded[name] = true, true
			return s, sglangLoaded(answer, name, path)
		}
		if !strings.Contains(said, "already") || unloaded {
			return s, fmt.Errorf("%w%s", w.refused("/load_lora_adapter", answer), hint(a, said, "--lora-target-modules all --max-lora-rank", path))
		}
		if b.loaded[name] {
			return s, nil
		}
		// Loaded by somebody else, and it does not tell from where.
		if answer, err := w.ask(ctx, "POST", "/unload_lora_adapter", map[string]any{"lora_name": name}); err != nil || !answer.ok() {
			return s, errors.Join(err, w.refused("/unload_lora_adapter", answer))
		}
	}
}

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
