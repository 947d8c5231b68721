package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// wire asks a server what the OpenAI protocol has no words for. The key goes to
// the server's own host alone.
type wire struct {
	url, key string
	client   *http.Client
}

const (
	longestReply = 16 << 20
	askTimeout   = 10 * time.Minute // loading weights takes a while
)

func newWire(s Serve) wire {
	return wire{
		url: strings.TrimRight(s.URL, "/"), key: os.Getenv(s.KeyEnv),
		client: &http.Client{
			Timeout:       askTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// answer is what a server said.
type answer struct {
	status int
	body   []byte
}

// said is the server's words for people: the message of an error in the ways
// that servers have for it, or the text itself.
func (a answer) said() string {
	var shapes struct {
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
		Error   json.RawMessage `json:"error"`
		Lora    string          `json:"error_message"`
	}
	text := string(a.body)
	if json.Unmarshal(a.body, &shapes) == nil {
		var inner struct {
			Message string `json:"message"`
		}
		var plain string
		switch {
		case shapes.Lora != "":
			text = shapes.Lora
		case json.Unmarshal(shapes.Error, &inner) == nil && inner.Message != "":
			text = inner.Message
		case json.Unmarshal(shapes.Error, &plain) == nil && plain != "":
			text = plain
		case shapes.Message != "":
			text = shapes.Message
		case len(shapes.Detail) > 0:
			text = string(shapes.Detail)
		}
	}
	return line(text, longestLine)
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// ask sends one request; body is JSON, a reader, or nil. That a server cannot be
// reached is an error, what it answers is not.
func (w wire) ask(ctx context.Context, method, path string, body any) (a answer, err error) {
	var in io.Reader
	if r, ok := body.(io.Reader); ok {
		in = r
	} else if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return a, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, in)
	if err != nil {
		return a, err
	}
	if host := req.URL.Hostname(); w.key != "" && req.URL.Scheme == "http" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return a, fmt.Errorf("%s would be sent the key unencrypted; write https in serve.url, or leave serve.key_env out", w.url)
	}
	req.Header.Set("User-Agent", "heirloom")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if w.key != "" {
		req.Header.Set("Authorization", "Bearer "+w.key)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return a, &unreached{w.url, err}
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, longestReply+1))
	if err == nil && len(a.body) > longestReply {
		err = errors.New("its answer is longer than 16 MiB")
	}
	if len(w.key) >= 8 {
		a.body = bytes.ReplaceAll(a.body, []byte(w.key), []byte("[key]"))
	}
	if err != nil {
		return a, fmt.Errorf("%s%s: %w", w.url, path, err)
	}
	return a, nil
}

// unreached is a server that did not answer at all.
type unreached struct {
	url string
	err error
}

func (u *unreached) Error() string {
	return fmt.Sprintf("no server answers at %s: %s", u.url, line(u.err.Error(), longestLine))
}
func (u *unreached) Unwrap() error { return u.err }

// get decodes the JSON answer of a request that has to be answered.
func (w wire) get(ctx context.Context, method, path string, body, into any) error {
	a, err := w.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if !a.ok() {
		return w.refused(path, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%s%s: answered what is no JSON of the kind that was expected: %s", w.url, path, a.said())
	}
	return nil
}

func (w wire) refused(path string, a answer) error {
	return fmt.Errorf("%s%s: HTTP %d: %s", w.url, path, a.status, a.said())
}

// unstarted is how long a server that somebody else starts may be unreachable.
const unstarted = time.Minute

// awaitReady waits until a server has loaded its model. gone tells that it will
// never; a server that was not started by this program has none.
func (w wire) awaitReady(ctx context.Context, kind string, limit time.Duration, gone func() error, log func(string, ...any)) error {
	path := map[string]string{Ollama: "/api/version", Hook: "/v1/models", None: "/v1/models"}[kind]
	if path == "" {
		path = "/health"
	}
	begun, told, pause := time.Now(), false, 20*time.Millisecond
	if gone == nil {
		limit = max(limit, unstarted)
	}
	for {
		a, err := w.ask(ctx, http.MethodGet, path, nil)
		var no *unreached
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && a.status != http.StatusServiceUnavailable && a.status != http.StatusBadGateway:
			if a.ok() || a.status == http.StatusNotFound || kind == None { // without such a path, but there
				return nil
			}
			return w.refused(path, a)
		case err != nil && !errors.As(err, &no):
			return err
		case gone != nil && gone() != nil:
			return gone()
		case err != nil && gone == nil && time.Since(begun) > min(limit, unstarted):
			return fmt.Errorf("command: %w: %w; start it, or write serve.cmd so that it is started", lineage.ErrHalt, err)
		case time.Since(begun) > limit:
			return fmt.Errorf("command: %w: %s is not ready after serve.start_timeout, %s", lineage.ErrHalt, w.url, limit)
		}
		if !told && time.Since(begun) > 2*time.Second {
			told = true
			log("%s: waits for the server to be ready", w.url)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		}
	}
}
