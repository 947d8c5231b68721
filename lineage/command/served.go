package command

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
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

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

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
		return s, fmt.Errorf("the server does not have it; full weights are served by a server of their own: write serve.cmd with {{.Artifact}} for the model and {{.ModelName}} for its name")
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
		return s, errors.New("the server does not have it; full weights are served by a server of their own: write serve.cmd with {{.Artifact}} for the model and {{.ModelName}} for its name")
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

// loadByHook runs the hook, whose last line is the name of the model.
func (b *Backend) loadByHook(ctx context.Context, w wire, a *Artifact) (s served, err error) {
	ctx, cancel := context.WithTimeout(ctx, seconds(b.config.Serve.Start))
	defer cancel()
	vars := b.serveVariables(a)
	vars["Artifact"] = b.there(a)
	argv, err := vars.argv("serve.load", b.config.Serve.Load)
	if err != nil {
		return s, err
	}
	program(b.world.Dir, argv)
	env, secrets := childEnvironment(append(b.config.Serve.EnvPass, b.config.Serve.KeyEnv))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = b.world.Folder, append(env, vars.environment()...)
	ownGroup(cmd, false)
	cmd.Cancel = func() error { killGroup(cmd.Process.Pid); return nil }
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return s, fmt.Errorf("serve.load failed (%w): %s", err, line(hide(string(exit.Stderr), secrets), longestLine))
		}
		return s, fmt.Errorf("serve.load: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if s.model = strings.TrimSpace(lines[len(lines)-1]); s.model == "" || s.model != line(s.model, 500) {
		return s, fmt.Errorf("serve.load printed %q, and its last line has to be the name of the model", line(string(out), 80))
	}
	all, err := w.models(ctx)
	if err == nil {
		s.base, _ = b.baseAmong(all)
	}
	return s, nil
}

// sameFile tells whether a server means the file by a path of its own.
func sameFile(told, path string) bool {
	return told == path || filepath.Clean(told) == filepath.Clean(path)
}
