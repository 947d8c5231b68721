package openai

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	api "github.com/sashabaranov/go-openai"
)

// cure is what helps against a fault.
type cure int

const (
	none    cure = iota // nothing that the client can do
	again               // asking again
	arrives             // asking again for a while: what was asked for is not there yet
)

// fault words what went wrong with an attempt, and tells what helps.
func (c *Client) fault(a *attempt, q question, err error) (cure, error) {
	where := c.server.BaseURL
	said := complaint(err)
	words := line(c.server.clean(said.text))
	halts := func(fault error) (cure, error) { return none, halt(fault) }
	told := func(format string, args ...any) error {
		text := fmt.Sprintf("%s: %s", where, fmt.Sprintf(format, args...))
		if a.status != 0 {
			text += fmt.Sprintf(" (HTTP %d)", a.status)
		}
		if words != "" {
			text += ": " + words
		}
		return errors.New(text)
	}
	switch {
	case errors.Is(err, errRedirect):
		words = ""
		return halts(told("sends on to %q, where the key is not taken; set base_url to the server's own address", line(c.server.clean(a.location))))
	case !a.sent:
		return none, told("cannot be asked: %s", line(c.server.clean(err.Error())))
	case a.status == 0:
		fault := told("did not answer: %s", line(c.server.clean(bare(err).Error())))
		if hopeless(err) {
			return halts(fault)
		}
		return again, fault
	case a.status < 300:
		return c.garbled(a, err)
	case a.status == http.StatusUnauthorized && c.server.Key == "":
		return halts(told("needs a key; set the environment variable %s", c.server.KeyEnv))
	case a.status == http.StatusUnauthorized:
		return halts(told("refused the key in the environment variable %s", c.server.KeyEnv))
	case a.status == http.StatusPaymentRequired || said.broke():
		return halts(told("the account behind %s has no credit left; go on when it has", c.server.KeyEnv))
	case a.status == http.StatusForbidden:
		return none, told("does not let the key in %s use the model %q", c.server.KeyEnv, q.model)
	case a.status == http.StatusNotFound && q.young:
		return arrives, told("does not know the model %q yet", q.model)
	case a.status == http.StatusNotFound:
		return none, told("knows no model %q, or base_url is not where its API begins (it often ends in /v1)", q.model)
	case a.status == http.StatusServiceUnavailable && said.loading():
		return arrives, told("is loading its model")
	case a.status == http.StatusRequestTimeout, a.status == http.StatusTooManyRequests, a.status == http.StatusTooEarly, a.status == http.StatusConflict:
		return curable(a.header.Get("X-Should-Retry") != "false"), told("asks for patience")
	case a.status >= 500 && a.status != http.StatusNotImplemented:
		return curable(a.header.Get("X-Should-Retry") != "false"), told("has a fault of its own")
	}
	if finish := said.finish(a.status); finish != "" {
		return none, &declined{finish, told("cannot take this request")}
	}
	refusal := told("refused the request for the model %q", q.model)
	switch a.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		refusal = &declined{"", refusal}
	}
	return curable(a.header.Get("X-Should-Retry") == "true"), refusal
}

func curable(yes bool) cure {
	if yes {
		return again
	}
	return none
}

// bare is an error without the address, which is told already.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// garbled is an answer of status 200 that is none.
func (c *Client) garbled(a *attempt, err error) (cure, error) {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return none, fmt.Errorf("%s: sent an answer of more than %d MiB", c.server.BaseURL, large.Limit>>20)
	case strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && c.gate.answered():
		return again, fmt.Errorf("%s: answered with a web page", c.server.BaseURL)
	case strings.HasPrefix(a.header.Get("Content-Type"), "text/html"):
		return none, fmt.Errorf("%s: answered with a web page; is base_url where its API begins (it often ends in /v1)?", c.server.BaseURL)
	case errors.Is(err, errCut):
		return none, halt(fmt.Errorf("%s: %w; give the server a longer context (Ollama: num_ctx)", c.server.BaseURL, err))
	case errors.Is(err, errVectors):
		return none, fmt.Errorf("%s: did not give one vector of one length for each text", c.server.BaseURL)
	}
	return again, fmt.Errorf("%s: sent an answer that cannot be read: %s", c.server.BaseURL, line(c.server.clean(err.Error())))
}

// hopeless tells faults of a connection that stay: a certificate that is not
// the server's, or no TLS at all.
func hopeless(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// said is what a server complains of.
type said struct{ code, text string }

func complaint(err error) said {
	var raw *api.RequestError
	var typed *api.APIError
	switch {
	case errors.As(err, &raw): // first: it may wrap an empty APIError
		return said{text: string(raw.Body)}
	case errors.As(err, &typed):
		code := typed.Type
		if typed.Code != nil {
			code += " " + fmt.Sprint(typed.Code)
		}
		return said{code, typed.Message}
	}
	return said{}
}

// broke tells a 429 that no patience cures.
func (s said) broke() bool {
	for _, word := range []string{"insufficient_quota", "credit_balance", "billing"} {
		if strings.Contains(s.code, word) {
			return true
		}
	}
	return false
}

// loading tells a server that is not ready yet.
func (s said) loading() bool { return strings.Contains(strings.ToLower(s.text), "loading") }

// finish is what to tell of a text that a server will not take, "" where the
// fault is in the request and not in its text.
func (s said) finish(status int) string {
	text := strings.ToLower(s.code + " " + s.text)
	switch {
	case strings.Contains(text, "content_filter"), strings.Contains(text, "content management policy"):
		return "content_filter"
	case status == http.StatusRequestEntityTooLarge, strings.Contains(text, "context length"), strings.Contains(text, "context size"),
		strings.Contains(text, "context_length"), strings.Contains(text, "context window"):
		return "too_long"
	}
	return ""
}

// longestWords bounds what of a server's words is passed on.
const longestWords = 300

// clean takes the key out of a text.
func (s Server) clean(text string) string {
	if len(s.Key) >= 8 { // anything shorter is no secret, and may be in any word
		text = strings.ReplaceAll(text, s.Key, "[key]")
	}
	return text
}

// line makes a server's words one line of bounded length.
func line(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(text) > longestWords {
		text = strings.ToValidUTF8(text[:longestWords], "") + "…"
	}
	return text
}
