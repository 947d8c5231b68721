package serve

import (
	"net/http"
	"strconv"
	"time"
)

// around answers a request, or has it go wrong as the rules say.
func (s *script) around(route string, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	if len(s.rules) == 0 {
		next(w, r)
		return
	}
	rule := s.met(route)
	if rule == nil {
		next(w, r)
		return
	}
	switch rule.When {
	case before:
		if rule.Do == doDelay {
			rule.wait(r)
			next(w, r)
			return
		}
		rule.spoil(w, nil)
	case afterCommit:
		kept := &recorded{}
		next(kept, r)
		if rule.Do == doDelay {
			rule.wait(r)
			kept.replay(w)
			return
		}
		rule.spoil(w, kept)
	case midStream:
		next(&breaking{ResponseWriter: w, rule: rule, request: r}, r)
	}
}

func (r *Rule) wait(req *http.Request) {
	select {
	case <-time.After(r.delay()):
	case <-req.Context().Done():
	}
}

func (r *Rule) problem() *problem {
	kind, message := invalid, r.Message
	if r.Status >= 500 {
		kind = "server_error"
	}
	if message == "" {
		message = "This went wrong by a rule."
	}
	return &problem{status: r.Status, kind: kind, code: r.Code, message: message}
}

// spoil answers wrongly. kept is the right answer, where there is one.
func (r *Rule) spoil(w http.ResponseWriter, kept *recorded) {
	switch r.Do {
	case doStatus:
		for k, v := range r.Headers {
			w.Header().Set(k, v)
		}
		r.problem().write(w)
	case doDrop:
		panic(http.ErrAbortHandler)
	case doTruncate:
		w.Header().Set("Content-Type", kept.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(kept.body.Len()))
		w.WriteHeader(kept.status)
		w.Write(kept.body.Bytes()[:kept.body.Len()/2])
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	case doGarbage:
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<html><body><h1>Welcome</h1></body></html>\n"))
	}
}

func (w *recorded) replay(to http.ResponseWriter) {
	for k, v := range w.Header() {
		to.Header()[k] = v
	}
	to.WriteHeader(max(w.status, http.StatusOK))
	to.Write(w.body.Bytes())
}

// breaking is a stream that goes wrong after some events. An answer that is no
// stream passes.
type breaking struct {
	http.ResponseWriter
	rule    *Rule
	request *http.Request
	events  int
	over    bool
}

func (w *breaking) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok && !w.over {
		f.Flush()
	}
}

func (w *breaking) Write(b []byte) (int, error) {
	if w.over {
		return len(b), nil
	}
	if w.events < w.rule.After || w.Header().Get("Cache-Control") == "" {
		w.events++
		return w.ResponseWriter.Write(b)
	}
	w.events++
	switch w.rule.Do {
	case doDelay:
		if w.events == w.rule.After+1 {
			w.rule.wait(w.request)
		}
		return w.ResponseWriter.Write(b)
	case doDrop:
		panic(http.ErrAbortHandler)
	case doStatus:
		w.ResponseWriter.Write(append(append([]byte("data: "), w.rule.problem().body()...), "\n\n"...))
	case doTruncate:
	case doGarbage:
		w.ResponseWriter.Write([]byte("data: {\"id\":\"chatcm\n\n"))
	}
	w.Flush()
	w.over = true
	return len(b), nil
}
