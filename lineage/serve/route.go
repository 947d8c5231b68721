package serve

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

type handler func(w http.ResponseWriter, r *http.Request) error

// endpoints are the routes, method by method.
func (s *Server) endpoints() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/v1/files":                             {"POST": s.createFile, "GET": s.listFiles},
		"/v1/files/{id}":                        {"GET": s.getFile, "DELETE": s.deleteFile},
		"/v1/files/{id}/content":                {"GET": s.fileContent},
		"/v1/fine_tuning/jobs":                  {"POST": s.createJob, "GET": s.listJobs},
		"/v1/fine_tuning/jobs/{id}":             {"GET": s.getJob},
		"/v1/fine_tuning/jobs/{id}/cancel":      {"POST": s.cancelJob},
		"/v1/fine_tuning/jobs/{id}/pause":       {"POST": s.pauseJob},
		"/v1/fine_tuning/jobs/{id}/resume":      {"POST": s.resumeJob},
		"/v1/fine_tuning/jobs/{id}/events":      {"GET": s.listEvents},
		"/v1/fine_tuning/jobs/{id}/checkpoints": {"GET": s.listCheckpoints},
		"/v1/chat/completions":                  {"POST": s.chat},
		"/v1/embeddings":                        {"POST": s.embeddings},
		"/v1/batches":                           {"POST": s.createBatch, "GET": s.listBatches},
		"/v1/batches/{id}":                      {"GET": s.getBatch},
		"/v1/batches/{id}/cancel":               {"POST": s.cancelBatch},
		"/v1/models":                            {"GET": s.listModels},
		"/v1/models/{model...}":                 {"GET": s.getModel, "DELETE": s.deleteModel},
		"/v1/moderations":                       {"POST": s.moderations},
		"/v1/load_lora_adapter":                 {"POST": s.loadAdapter},
		"/v1/unload_lora_adapter":               {"POST": s.unloadAdapter},
		"/health":                               {"GET": s.health},
	}
}

func (s *Server) route() {
	s.mux = http.NewServeMux()
	for pattern, methods := range s.endpoints() {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			h, ok := methods[r.Method]
			if !ok {
				var allowed []string
				for m := range methods {
					allowed = append(allowed, m)
				}
				slices.Sort(allowed)
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				h = func(http.ResponseWriter, *http.Request) error {
					return &problem{http.StatusMethodNotAllowed, invalid, "method_not_allowed", "",
						fmt.Sprintf("%s takes %s, not %s", pattern, strings.Join(allowed, " and "), r.Method)}
				}
			}
			s.answer(h, w, r)
		})
	}
}

// routes lists what a rule can match.
func (s *Server) routes() (all []string) {
	for pattern, methods := range s.endpoints() {
		for m := range methods {
			all = append(all, m+" "+pattern)
		}
	}
	slices.Sort(all)
	return all
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.headers(w)
	_, pattern := s.mux.Handler(r)
	if pattern == "" || path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
		missing("", "unknown_url", "unknown request: %s %.200q", r.Method, r.URL.Path).write(w)
		return
	}
	route := r.Method + " " + pattern
	s.counting.request(route)
	if err := s.admit(r); err != nil {
		err.write(w)
		return
	}
	s.script.around(route, w, r, s.mux.ServeHTTP)
}

// headers are on every answer. The limits are those of nobody: this server
// takes what it can; a rule can say otherwise.
func (s *Server) headers(w http.ResponseWriter) {
	h := w.Header()
	h["X-Request-Id"] = []string{s.name("req_", "request")}
	h["X-Ratelimit-Limit-Requests"] = []string{"1000000"}
	h["X-Ratelimit-Limit-Tokens"] = []string{"1000000000"}
	h["X-Ratelimit-Remaining-Requests"] = []string{"999999"}
	h["X-Ratelimit-Remaining-Tokens"] = []string{"999999999"}
	h["X-Ratelimit-Reset-Requests"] = []string{"1ms"}
	h["X-Ratelimit-Reset-Tokens"] = []string{"1ms"}
	h["Openai-Version"] = []string{"2020-10-01"}
}

// admit checks the key, which no message repeats.
func (s *Server) admit(r *http.Request) *problem {
	if s.options.Key == "" {
		return nil
	}
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		given = r.Header.Get("Api-Key")
	}
	if subtle.ConstantTimeCompare([]byte(given), []byte(s.options.Key)) == 1 {
		return nil
	}
	return &problem{http.StatusUnauthorized, invalid, "invalid_api_key", "", "this server wants a key, and the request has none or another"}
}

// answer runs a handler; its error is told the way the protocol does.
func (s *Server) answer(h handler, w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		if r.Context().Err() != nil {
			return // nobody listens
		}
		p := problemOf(err)
		if p.status >= 500 {
			s.options.Log("%s %s: %v", r.Method, r.URL.Path, err)
		}
		p.write(w)
	}
}

// read decodes a JSON body. Members that v lacks are ignored, as servers do.
func (s *Server) read(w http.ResponseWriter, r *http.Request, v any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.options.MaxBody))
	if err != nil {
		return unread(err)
	}
	return decode(data, v)
}

// unread is a body that did not arrive.
func unread(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return bad("", "", "the body of the request ended early")
}

func decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return bad("", "invalid_utf8", "the body of the request is not UTF-8")
	}
	err := json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	var p *problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.As(err, &wrong):
		return bad(wrong.Field, "invalid_type", "%s takes no %s here", wrong.Field, wrong.Value)
	}
	return bad("", "invalid_json", "the body of the request is not JSON: %v", err)
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// page cuts a list, newest first unless it was turned around, as the queries
// `after` and `limit` say.
func page[T any](r *http.Request, all []T, id func(T) string, usual, most int) (cut []T, more bool, err error) {
	q := r.URL.Query()
	limit := usual
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > most {
			return nil, false, bad("limit", "invalid_value", "limit: %.40q is not a number from 1 to %d", text, most)
		}
	}
	if after := q.Get("after"); after != "" {
		at := slices.IndexFunc(all, func(t T) bool { return id(t) == after })
		if at < 0 {
			return nil, false, missing("after", "not_found", "after: there is no %.80q in this list", after)
		}
		all = all[at+1:]
	}
	if len(all) > limit {
		return all[:limit], true, nil
	}
	return all, false, nil
}

// list is a page as the protocol tells it.
type list[T any] struct {
	Object string `json:"object"`
	Data   []T    `json:"data"`
	First  string `json:"first_id"`
	Last   string `json:"last_id"`
	More   bool   `json:"has_more"`
}

func newList[T any](data []T, more bool, id func(T) string) list[T] {
	l := list[T]{Object: "list", Data: data, More: more}
	if len(data) == 0 {
		l.Data = []T{}
		return l
	}
	l.First, l.Last = id(data[0]), id(data[len(data)-1])
	return l
}
