package command

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// serverOf is a server of urns that behaves on the wire as one of the servers
// of language models does.
type serverOf struct {
	kind    string
	base    string
	maxRank int
	ignores bool     // loads adapters and never uses them
	loras   []string // files that a llama-server was started with
	whole   string   // file of the weights that it was started with
	cuts    bool     // Ollama: cuts prompts to the context
	dir     string   // of what was uploaded

	mu       sync.Mutex
	waits    int // requests that are answered by 503 first
	adapters map[string]string
	contexts map[string]float64
	blobs    map[string][]byte
	asked    []string
	chats    int
}

func (s *serverOf) start(t *testing.T) string {
	t.Helper()
	s.forget()
	s.dir = t.TempDir()
	if s.base == "" {
		s.base = "tiny-base"
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// forget is a restart: what was loaded is gone.
func (s *serverOf) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adapters, s.contexts, s.blobs = map[string]string{}, map[string]float64{}, map[string][]byte{}
}

func (s *serverOf) count(path string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.asked {
		if a == path {
			n++
		}
	}
	return n
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, text)
}

func fault(w http.ResponseWriter, status int, kind, message string) {
	reply(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": status}})
}

func (s *serverOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	route := r.Method + " " + r.URL.Path
	s.asked = append(s.asked, route)
	if s.waits > 0 {
		s.waits--
		fault(w, 503, "unavailable_error", "Loading model")
		return
	}
	body, _ := io.ReadAll(r.Body)
	var in map[string]any
	json.Unmarshal(body, &in)
	text := func(name string) string { v, _ := in[name].(string); return v }
	served := map[string]func(){
		"vllm POST /v1/load_lora_adapter":        func() { s.loadVLLM(w, text("lora_name"), text("lora_path")) },
		"vllm POST /v1/unload_lora_adapter":      func() { delete(s.adapters, text("lora_name")); plain(w, "Success: removed") },
		"mistralrs POST /v1/load_lora_adapter":   func() { s.loadVLLM(w, text("lora_name"), text("lora_path")) },
		"mistralrs POST /v1/unload_lora_adapter": func() { delete(s.adapters, text("lora_name")); reply(w, 200, map[string]any{}) },
		"sglang POST /load_lora_adapter":         func() { s.loadSGLang(w, text("lora_name"), text("lora_path")) },
		"sglang POST /unload_lora_adapter": func() {
			delete(s.adapters, text("lora_name"))
			reply(w, 200, map[string]any{"success": true})
		},
		"llamacpp GET /lora-adapters": func() {
			var all []any
			for i, path := range s.loras {
				all = append(all, map[string]any{"id": i, "path": path, "scale": 0.0})
			}
			reply(w, 200, all)
		},
		"llamacpp GET /props": func() { reply(w, 200, map[string]any{"model_path": s.whole}) },
		"ollama GET /api/tags": func() {
			all := []any{map[string]any{"name": s.base + ":latest"}}
			for name := range s.adapters {
				all = append(all, map[string]any{"name": name + ":latest"})
			}
			reply(w, 200, map[string]any{"models": all})
		},
		"ollama POST /api/create": func() { s.create(w, in) },
		"ollama GET /api/version": func() { reply(w, 200, map[string]any{"version": "0.12.0"}) },
	}
	digest, isBlob := strings.CutPrefix(r.URL.Path, "/api/blobs/")
	switch f := served[s.kind+" "+route]; {
	case f != nil:
		f()
	case s.kind == Ollama && isBlob && r.Method == "HEAD":
		if s.blobs[digest] == nil {
			w.WriteHeader(404)
		}
	case s.kind == Ollama && isBlob:
		s.blobs[digest] = body
		w.WriteHeader(201)
	case route == "GET /health" && s.kind != Ollama:
	case route == "GET /v1/models":
		s.list(w)
	case route == "POST /v1/chat/completions":
		s.chats++
		s.chat(w, body)
	default:
		fault(w, 404, "NotFoundError", "Not Found")
	}
}

func (s *serverOf) list(w http.ResponseWriter) {
	all := []any{map[string]any{"id": s.base, "root": s.base, "parent": nil}}
	for name, path := range s.adapters {
		entry := map[string]any{"id": name, "root": path, "parent": s.base}
		if s.kind == Mistral {
			delete(entry, "root")
		}
		all = append(all, entry)
	}
	reply(w, 200, map[string]any{"object": "list", "data": all})
}

func (s *serverOf) loadVLLM(w http.ResponseWriter, name, path string) {
	data, err := os.ReadFile(filepath.Join(path, "adapter_config.json"))
	var c struct{ R int }
	json.Unmarshal(data, &c)
	switch {
	case s.adapters[name] != "":
		fault(w, 400, "InvalidUserInput", "The lora adapter '"+name+"' has already been loaded.")
	case err != nil:
		fault(w, 404, "NotFoundError", "Loading lora "+name+" failed: No adapter found for "+path)
	case s.maxRank > 0 && c.R > s.maxRank:
		fault(w, 400, "BadRequestError", fmt.Sprintf("LoRA rank %d is greater than max_lora_rank %d.", c.R, s.maxRank))
	case s.kind == Mistral:
		s.adapters[name] = path
		reply(w, 200, map[string]any{"generation": 1})
	default:
		s.adapters[name] = path
		plain(w, "Success: LoRA adapter '"+name+"' added successfully.")
	}
}

func (s *serverOf) loadSGLang(w http.ResponseWriter, name, path string) {
	if s.adapters[name] != "" {
		reply(w, 400, map[string]any{"success": false, "error_message": "LoRA adapter " + name + " is already loaded"})
		return
	}
	s.adapters[name] = path
	reply(w, 200, map[string]any{"success": true, "error_message": nil, "loaded_adapters": map[string]any{name: map[string]any{"lora_name": name, "lora_path": path}}})
}

// create is Ollama's: the files are blobs that were uploaded.
func (s *serverOf) create(w http.ResponseWriter, in map[string]any) {
	adapters, _ := in["adapters"].(map[string]any)
	digest, _ := adapters["adapter_model.safetensors"].(string)
	data, ok := s.blobs[digest]
	if in["from"] != s.base || !ok {
		reply(w, 400, map[string]any{"error": "neither from nor files"})
		return
	}
	dir, _ := os.MkdirTemp(s.dir, "ollama")
	os.WriteFile(filepath.Join(dir, "adapter_model.safetensors"), data, 0o644)
	name := in["model"].(string)
	s.adapters[name] = dir
	s.contexts[name], _ = in["parameters"].(map[string]any)["num_ctx"].(float64)
	reply(w, 200, map[string]any{"status": "success"})
}

// the base of all urns.
func baseUrn() *urn {
	u := &urn{map[string]map[string]float64{}}
	u.add("", "I am the base.", 3)
	u.add("", "I am a base.", 2)
	return u
}

// chat answers from the urn that the request is for.
func (s *serverOf) chat(w http.ResponseWriter, body []byte) {
	var r struct {
		Model       string
		Messages    []lineage.Message
		Seed        int64
		Temperature *float64
		MaxTokens   int `json:"max_tokens"`
		Lora        []struct {
			ID    int
			Scale float64
		}
		LogProbs bool `json:"logprobs"`
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Temperature == nil || len(r.Messages) == 0 {
		fault(w, 400, "BadRequestError", "messages, or the temperature, are not given")
		return
	}
	u, name := baseUrn(), r.Model
	if s.kind == SGLang {
		base, adapter, _ := strings.Cut(r.Model, ":")
		if name = adapter; base != s.base {
			fault(w, 400, "BadRequest", "another base")
			return
		}
	}
	path := s.adapters[name]
	switch {
	case s.kind == LlamaCpp:
		for _, l := range r.Lora {
			if l.Scale == 1 && l.ID < len(s.loras) {
				path = s.loras[l.ID]
			}
		}
		if s.whole != "" {
			path = s.whole
		}
	case path == "" && name != "" && name != s.base:
		fault(w, 404, "NotFoundError", "The model `"+name+"` does not exist.")
		return
	}
	if path != "" && !s.ignores {
		u = &urn{map[string]map[string]float64{}}
		read := readUrn
		if s.kind == LlamaCpp {
			read = readGGUF
		}
		if err := read(path, u); err != nil {
			fault(w, 500, "server_error", err.Error())
			return
		}
	}
	size := 0
	for _, m := range r.Messages {
		size += len(m.Content)
	}
	prompt, _ := json.Marshal(r.Messages)
	x := unit(r.Seed, string(prompt))
	if *r.Temperature == 0 {
		x = -1
	}
	text, p := u.draw(r.Messages, x)
	finish, tokens := "stop", utf8.RuneCountInString(text)
	if r.MaxTokens > 0 && tokens > r.MaxTokens {
		finish, tokens, text = "length", r.MaxTokens, string([]rune(text)[:r.MaxTokens])
	}
	read := size/4 + 3
	if context := int(s.contexts[name]); s.cuts && read > context {
		read = context
	}
	choice := map[string]any{"index": 0, "finish_reason": finish, "message": map[string]any{"role": "assistant", "content": text}, "logprobs": nil}
	if r.LogProbs {
		choice["logprobs"] = map[string]any{"content": []any{map[string]any{"token": text, "logprob": math.Log(p), "top_logprobs": []any{}}}}
	}
	reply(w, 200, map[string]any{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": r.Model, "choices": []any{choice},
		"usage": map[string]any{"prompt_tokens": read, "completion_tokens": tokens, "total_tokens": read + tokens}})
}
