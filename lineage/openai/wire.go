package openai

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"time"
)

// attempt is one request on its way: the body that is sent in place of the API
// package's own, and what came back, which that package keeps to itself.
type attempt struct {
	server   Server
	body     []byte // nil leaves the API package's
	bound    int64  // most bytes of an answer; 0 for maxBody
	at       time.Time
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
	if a.body != nil {
		req.ContentLength = int64(len(a.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(a.body)), nil }
		req.Body, _ = req.GetBody()
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
	resp.Body = http.MaxBytesReader(nil, resp.Body, cmp.Or(a.bound, maxBody))
	return resp, nil
}
