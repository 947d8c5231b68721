package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"
)

// call is a request of what the API package lacks, over the same wire and limits.
type call struct {
	method string
	path   string // below the base URL; what it is made from is escaped
	query  url.Values
	about  string // the model or thing that it is for, in messages
	body   any    // sent as JSON; nil for none
	raw    io.Reader
	kind   string // content type of raw
	size   int64  // of raw
}

// get asks for something and may ask again.
func (c *Client) get(ctx context.Context, k call, out any) error {
	k.method = http.MethodGet
	return c.repeat(ctx, k, out)
}

// repeat sends what may be sent twice.
func (c *Client) repeat(ctx context.Context, k call, out any) error {
	var last error
	err := c.ask(ctx, question{model: k.about}, func(ctx context.Context) (int, error) {
		last = c.send(ctx, k, out)
		return 0, last
	})
	return c.rejected(k, last, err)
}

// try asks once.
func (c *Client) try(ctx context.Context, k call, out any) error {
	a := &attempt{server: c.server}
	once, cancel := c.servers.unhurried(ctx, 0)
	defer cancel()
	err := c.send(a.in(once), k, out)
	if err == nil {
		return nil
	}
	_, fault := c.fault(a, question{model: k.about}, err)
	return c.rejected(k, err, fault)
}

// rejected keeps the status of an error that the server told.
func (c *Client) rejected(k call, told, err error) error {
	status := statusOf(told)
	if err == nil || status == 0 {
		return err
	}
	said := complaint(told)
	switch status {
	case http.StatusNotFound:
		err = fmt.Errorf("%s: has no %q", c.server.BaseURL, k.about)
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		err = fmt.Errorf("%s: does not take %q (HTTP %d): %s", c.server.BaseURL, k.about, status, line(c.server.clean(said.text)))
	}
	return &rejection{status, said, err}
}

// rejection is an error of which the server's status is known.
type rejection struct {
	status int
	said   said
	error
}

func (r *rejection) Unwrap() error { return r.error }

// gone tells that what was asked for is not there.
func gone(err error) bool {
	var r *rejection
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

func statusOf(err error) int {
	var raw *api.RequestError
	var typed *api.APIError
	switch {
	case errors.As(err, &raw):
		return raw.HTTPStatusCode
	case errors.As(err, &typed):
		return typed.HTTPStatusCode
	}
	return 0
}

// Outcomes of what must not be sent twice.
type verdict int

const (
	done      verdict = iota
	refused           // for certain: nothing came of it
	wait              // refused for now
	uncertain         // it may have been done
)

// once sends what must not be sent twice: the caller finds out what came of it
// where the verdict is uncertain.
func (c *Client) once(ctx context.Context, k call, out any) (verdict, http.Header, error) {
	if err := c.gate.enter(ctx, 0); err != nil {
		return refused, nil, err
	}
	defer c.gate.leave()
	a := &attempt{server: c.server, at: c.servers.clock.now()}
	slow := time.Duration(k.size/slowest) * time.Second
	within, cancel := c.servers.unhurried(ctx, slow)
	defer cancel()
	err := c.send(a.in(within), k, out)
	if err == nil {
		c.gate.settle(0, 0)
		return done, a.header, nil
	}
	said := complaint(err)
	_, fault := c.fault(a, question{model: k.about}, err)
	if a.status == http.StatusNotFound {
		fault = fmt.Errorf("%s: has no %s, or does not know %q; base_url is where the API begins (it often ends in /v1)", c.server.BaseURL, k.path, k.about)
	} else {
		fault = c.rejected(k, err, fault)
	}
	fault = &rejection{a.status, said, fault}
	switch {
	case !a.sent:
		return refused, a.header, fault
	case a.status == http.StatusTooManyRequests && !said.broke():
		return wait, a.header, fault
	case a.status >= 300 && a.status < 500 && a.status != http.StatusRequestTimeout && a.status != http.StatusConflict && a.status != http.StatusTooEarly:
		return refused, a.header, fault
	}
	return uncertain, a.header, fault
}

// slowest is the rate of an upload, in bytes a second, that is waited for.
const slowest = 50_000

// send sends a request once and reads its answer.
func (c *Client) send(ctx context.Context, k call, out any) error {
	req, err := c.request(ctx, k)
	if err != nil {
		return err
	}
	resp, err := c.servers.wire.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	data = c.server.cleanJSON(data)
	if resp.StatusCode >= 300 {
		return refusal(resp.StatusCode, data)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = data
		return nil
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("not the JSON that was expected: %w", err)
	}
	return nil
}

// cleanJSON takes the key out of an answer, whose strings may be escaped.
func (s Server) cleanJSON(data []byte) []byte {
	if bytes.Contains(data, []byte(`\u`)) {
		var v any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if d.Decode(&v) == nil {
			if plain, err := json.Marshal(v); err == nil {
				data = plain
			}
		}
	}
	return []byte(s.clean(string(data)))
}

// refusal is an answer of an error status, as the API package has it.
func refusal(status int, data []byte) error {
	var body api.ErrorResponse
	if err := json.Unmarshal(data, &body); err != nil || body.Error == nil {
		return &api.RequestError{HTTPStatusCode: status, Err: errors.New("no error in the protocol's form"), Body: data}
	}
	body.Error.HTTPStatusCode = status
	return body.Error
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	address, query := c.server.BaseURL+k.path, k.query
	if c.server.APIVersion != "" {
		if query == nil {
			query = url.Values{}
		}
		address = c.server.BaseURL + "/openai" + k.path
		query.Set("api-version", c.server.APIVersion)
	}
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	if k.body != nil {
		data, err := json.Marshal(k.body)
		if err != nil {
			return nil, err
		}
		k.raw, k.kind, k.size = bytes.NewReader(data), "application/json", int64(len(data))
	}
	req, err := http.NewRequestWithContext(ctx, k.method, address, k.raw)
	if err != nil {
		return nil, err
	}
	if k.raw != nil {
		req.Header.Set("Content-Type", k.kind)
		req.ContentLength = k.size
	}
	switch key := c.server.Key; {
	case key == "":
	case c.server.APIVersion != "":
		req.Header.Set("api-key", key)
	default:
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return req, nil
}

// at is a path of a thing, whose ID comes from a server.
func at(collection, id string, rest ...string) (string, error) {
	if id == "" || strings.Trim(id, ".") == "" {
		return "", fmt.Errorf("%s: an empty ID cannot be asked for", collection)
	}
	path := collection + "/" + url.PathEscape(id)
	for _, r := range rest {
		path += "/" + r
	}
	return path, nil
}
