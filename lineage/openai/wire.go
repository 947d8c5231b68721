package openai

import (
	"bytes"
	"context"
	"io"
	"net/http"
)

// attempt is one request on its way: what is added to its body, and what came
// back, which the API package keeps to itself.
type attempt struct {
	server   Server
	extra    []byte // members of the body's JSON object, each followed by a comma
	sent     bool
	status   int
	header   http.Header
	location string // of a redirect
}

type attemptKey struct{}

func (a *attempt) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, attemptKey{}, a)
}

// wire is the HTTP client under the API package.
type wire struct{ client *http.Client }

// maxBody bounds what a server can make a reader hold.
const maxBody = 64 << 20

// Do implements api.HTTPDoer.
func (w wire) Do(req *http.Request) (*http.Response, error) {
	a := req.Context().Value(attemptKey{}).(*attempt)
	if err := a.complete(req); err != nil {
		return nil, err
	}
	a.sent = true
	req.Header.Set("User-Agent", "heirloom")
	if s := a.server; s.Organization != "" {
		req.Header.Set("OpenAI-Organization", s.Organization)
	}
	if s := a.server; s.Project != "" {
		req.Header.Set("OpenAI-Project", s.Project)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	a.status, a.header = resp.StatusCode, resp.Header
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Body.Close()
		a.location = resp.Header.Get("Location")
		return nil, errRedirect
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, maxBody)
	return resp, nil
}

// complete puts the extra members at the front of the body.
func (a *attempt) complete(req *http.Request) error {
	if len(a.extra) == 0 {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	whole := make([]byte, 0, len(a.extra)+len(body))
	whole = append(append(append(whole, '{'), a.extra...), body[1:]...)
	req.ContentLength = int64(len(whole))
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil }
	req.Body, err = req.GetBody()
	return err
}
