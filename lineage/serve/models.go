package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
)

type modelView struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Root    string `json:"root,omitempty"` // of an adapter: where it came from
	Parent  string `json:"parent,omitempty"`
}

func (m *served) view() modelView {
	v := modelView{ID: m.name, Object: "model", Created: m.created, OwnedBy: organization}
	if m.base == nil {
		v.OwnedBy = "org-" + organization
	}
	if m.adapter {
		v.Root, v.Parent = m.job, m.root
	}
	return v
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	all := []modelView{}
	s.mu.RLock()
	for _, m := range s.state.models {
		if !m.hidden {
			all = append(all, m.view())
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b modelView) int { return strings.Compare(a.ID, b.ID) })
	return reply(w, map[string]any{"object": "list", "data": all})
}

func (s *Server) named(name string) (*served, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if m := s.state.models[name]; m != nil {
		return m, nil
	}
	return nil, missing("model", "model_not_found", "The model `%.200s` does not exist or you do not have access to it.", name)
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.named(r.PathValue("model"))
	if err != nil {
		return err
	}
	return reply(w, m.view())
}

func (s *Server) deleteModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.named(r.PathValue("model"))
	if err != nil {
		return err
	}
	if m.base != nil {
		return &problem{http.StatusForbidden, invalid, "permission_denied", "model", fmt.Sprintf("the base model %s cannot be deleted", m.name)}
	}
	if err := s.commit(func(int) entry { return entry{Gone: m.name} }); err != nil {
		return err
	}
	s.desks.close(m.name)
	return reply(w, map[string]any{"id": m.name, "object": "model", "deleted": true})
}

// Adapters are loaded as vLLM does it, which answers in plain text and forgets
// them when it ends. An adapter here is an artifact of the first base model's
// backend, in a file.
type adapterRequest struct {
	Name    string `json:"lora_name"`
	Path    string `json:"lora_path"`
	InPlace bool   `json:"load_inplace"`
}

func (s *Server) loadAdapter(w http.ResponseWriter, r *http.Request) error {
	var q adapterRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	if q.Name == "" || q.Path == "" {
		return adapterProblem(http.StatusBadRequest, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided.")
	}
	data, err := s.readAdapter(q.Path)
	if err != nil {
		return err
	}
	base := s.options.Models[0]
	a, err := base.Backend.Load(data)
	if err != nil {
		return adapterProblem(http.StatusBadRequest, "BadRequestError", fmt.Sprintf("Loading lora %.80s failed: %v", q.Name, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.models[q.Name] != nil && (!q.InPlace || !s.state.models[q.Name].adapter) {
		return adapterProblem(http.StatusBadRequest, "InvalidUserInput", fmt.Sprintf("The lora adapter '%.80s' has already been loaded.", q.Name))
	}
	own := Model{Name: q.Name, Backend: base.Backend, Artifact: a}
	s.state.models[q.Name] = &served{name: q.Name, root: base.Name, parent: base.Name, job: q.Path, created: s.now(), base: &own, adapter: true}
	s.desks.close(q.Name)
	return plain(w, "Success: LoRA adapter '%s' added successfully.", q.Name)
}

// readAdapter opens nothing outside of the folder of adapters.
func (s *Server) readAdapter(path string) ([]byte, error) {
	if s.options.Adapters == nil {
		return nil, adapterProblem(http.StatusBadRequest, "InvalidUserInput", "This server has no folder of adapters.")
	}
	data, err := fs.ReadFile(s.options.Adapters, strings.TrimPrefix(path, "./"))
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return nil, adapterProblem(http.StatusNotFound, "NotFoundError", fmt.Sprintf("Loading lora failed: there is no file %.200q in the folder of adapters; the path is relative to it.", path))
	}
	if err != nil {
		return nil, adapterProblem(http.StatusBadRequest, "BadRequestError", "Loading lora failed: the file cannot be read.")
	}
	return data, nil
}

func (s *Server) unloadAdapter(w http.ResponseWriter, r *http.Request) error {
	var q adapterRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.state.models[q.Name]; m == nil || !m.adapter {
		return adapterProblem(http.StatusNotFound, "NotFoundError", fmt.Sprintf("The lora adapter '%.80s' cannot be found.", q.Name))
	}
	delete(s.state.models, q.Name)
	s.desks.close(q.Name)
	return plain(w, "Success: LoRA adapter '%s' removed successfully.", q.Name)
}

func adapterProblem(status int, kind, message string) error {
	return &problem{status: status, kind: kind, message: message}
}

func plain(w http.ResponseWriter, format string, args ...any) error {
	quoted, _ := json.Marshal(args[0].(string)) // a name has no say in the reply's form
	name := string(quoted[1 : len(quoted)-1])
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := fmt.Fprintf(w, format, name)
	return err
}
