package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// problem is an error as the protocol tells it.
type problem struct {
	status  int
	kind    string // the protocol's "type"
	code    string
	param   string
	message string
}

func (p *problem) Error() string { return p.message }

const invalid = "invalid_request_error"

// bad is a request that is at fault itself.
func bad(param, code, format string, args ...any) *problem {
	return &problem{http.StatusBadRequest, invalid, code, param, fmt.Sprintf(format, args...)}
}

// missing is a request for what there is not.
func missing(param, code, format string, args ...any) *problem {
	return &problem{http.StatusNotFound, invalid, code, param, fmt.Sprintf(format, args...)}
}

// problemOf tells any error; what is not the client's fault is a 500.
func problemOf(err error) *problem {
	var p *problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return &problem{http.StatusRequestEntityTooLarge, invalid, "request_too_large", "",
			fmt.Sprintf("the request is larger than this server takes, %d bytes", tooLarge.Limit)}
	}
	return &problem{http.StatusInternalServerError, "server_error", "internal_error", "", err.Error()}
}

// body is the problem's JSON: all four members are always there, null where
// there is nothing to tell.
func (p *problem) body() []byte {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	data, err := json.Marshal(map[string]inner{"error": {p.message, p.kind, optional(p.param), optional(p.code)}})
	if err != nil {
		panic(err)
	}
	return data
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (p *problem) write(w http.ResponseWriter) { writeJSON(w, p.status, p.body()) }

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// reply answers with a value.
func reply(w http.ResponseWriter, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, data)
	return nil
}
