package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

// HTTP is a detector that is a server: GET gives the ready message, and POST of
//
//	{"protocol":1,"config":{…},"rows":[{"id","messages","output"},…]}
//
// gives {"answers":[{"id","score",…},…]}. It keeps no state between requests.
type HTTP struct {
	URL string `yaml:"url" doc:"address that answers GET with the ready message and POST with answers"`
	Asking
}

// Open asks the server who it is.
func (c HTTP) Open(env detectors.Env) (*Detector, error) {
	open, j, err := c.opener(env)
	if err != nil {
		return nil, err
	}
	material, err := c.contents("http", env.Dir)
	if err != nil {
		return nil, err
	}
	d, err := newDetector("http", c.Asking, j, open, material)
	if err != nil {
		return nil, fmt.Errorf("http %s: %w", c.URL, err)
	}
	return d, nil
}

func (c HTTP) opener(env detectors.Env) (opener, *journal, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		err = fmt.Errorf("http.url: %q is no address such as http://localhost:8000/detect", c.URL)
	case u.User != nil:
		err = errors.New("http.url: holds a password, which would be stored with the experiment; leave it out")
	}
	if err := errors.Join(c.check("http"), err); err != nil {
		return nil, nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Processes
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		return fatal{fmt.Errorf("sends on to %s; write that address as url", r.URL.Redacted())}
	}}
	j := &journal{who: c.URL + ": ", tell: env.Log}
	return func(ctx context.Context) (link, Ready, error) {
		s := &server{url: c.URL, client: client, config: greeting(c.Config).Config, timeout: seconds(c.Timeout), log: j}
		ready, err := s.greet(ctx, seconds(c.Start))
		return s, ready, err
	}, j, nil
}

// server is a detector behind an address.
type server struct {
	url     string
	client  *http.Client
	config  map[string]any
	timeout time.Duration
	log     *journal
}

func (s *server) alive() bool { return true }

func (s *server) end(time.Duration) { s.client.CloseIdleConnections() }

func (s *server) greet(ctx context.Context, patience time.Duration) (Ready, error) {
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	data, err := s.exchange(limited, http.MethodGet, nil, longestLine)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			err = fmt.Errorf("did not answer within %v, for which start_timeout gives more time: %w", patience, err)
		}
		return Ready{}, err
	}
	return parseReady(data)
}

// ask implements link.
func (s *server) ask(ctx context.Context, rows []row, got func(int, *answer)) error {
	numbered := make([]row, len(rows))
	for i, r := range rows {
		numbered[i] = r
		numbered[i].ID = strconv.Itoa(i + 1)
	}
	var b bytes.Buffer
	err := appendLine(&b, map[string]any{"protocol": Version, "config": s.config, "rows": numbered})
	if err != nil {
		return fatal{err}
	}
	limited, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	data, err := s.exchange(limited, http.MethodPost, b.Bytes(), longestLine*(1+min(len(rows), 63)))
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			return &broken{what: fmt.Sprintf("gave no answer within %v", s.timeout)}
		}
		return err
	}
	return s.take(data, len(rows), got)
}

func (s *server) take(data []byte, n int, got func(int, *answer)) error {
	var body struct {
		Answers []json.RawMessage `json:"answers"`
	}
	if err := json.Unmarshal(data, &body); err != nil || body.Answers == nil {
		return &broken{what: fmt.Sprintf(`answered %s, which is not {"answers":[…]}`, excerpt(data))}
	}
	seen := make([]bool, n)
	left := n
	for _, raw := range body.Answers {
		a, err := parseAnswer(raw)
		i, notNumber := strconv.Atoi(a.id)
		switch {
		case err != nil:
			s.log.say(rubbish, "answers %s, which is no answer: %v", excerpt(raw), err)
		case notNumber != nil || i < 1 || i > n:
			s.log.say(unknown, "answers row %q, which was not asked; the id of an answer is that of its row", line(a.id, 40))
		case seen[i-1]:
			s.log.say(duplicate, "answers row %q again; the first answer stands", a.id)
		default:
			seen[i-1] = true
			left--
			got(i-1, &a)
		}
	}
	if left > 0 {
		return &broken{what: "left rows without an answer"}
	}
	return nil
}

// tries is how often a server that is down or busy is asked.
const tries = 6

// exchange sends one request until the server takes it. What is wrong with the
// request or the way there is fatal; what the body may have caused is not.
func (s *server) exchange(ctx context.Context, method string, body []byte, most int) (data []byte, err error) {
	pause := 100 * time.Millisecond
	for range tries {
		var again time.Duration
		if data, again, err = s.once(ctx, method, body, most); again == 0 {
			return data, err
		}
		if waited := wait(ctx, max(pause, again)); waited != nil {
			return nil, fmt.Errorf("%w, and no time is left for another try", err)
		}
		pause *= 3
	}
	return nil, fatal{fmt.Errorf("%w, %d times; is the server running?", err, tries)}
}

// once sends one request; again says after what time it may be worth another try.
func (s *server) once(ctx context.Context, method string, body []byte, most int) (data []byte, again time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fatal{err}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		var wrong *url.Error
		if errors.As(err, &wrong) {
			err = wrong.Err // which does not repeat the address
		}
		var f fatal
		if errors.As(err, &f) || ctx.Err() != nil {
			return nil, 0, err
		}
		return nil, time.Millisecond, err
	}
	defer response.Body.Close()
	data, err = io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
	switch code := response.StatusCode; {
	case code == 429 || code == 502 || code == 503 || code == 504:
		return nil, retryAfter(response), fmt.Errorf("answers with status %s", response.Status)
	case code == 400 || code == 413 || code == 422 || code == 500:
		return nil, 0, &broken{what: "answered with status " + response.Status, last: line(string(data), longestReason)}
	case code/100 != 2:
		return nil, 0, fatal{fmt.Errorf("answers %s with status %s", method, response.Status)}
	case err != nil:
		return nil, 0, &broken{what: "broke off its answer", last: err.Error()}
	case len(data) > most:
		return nil, 0, &broken{what: fmt.Sprintf("sent an answer of more than %d bytes", most)}
	}
	return data, 0, nil
}

func retryAfter(r *http.Response) time.Duration {
	n, err := strconv.Atoi(r.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		n = 0
	}
	return time.Millisecond + time.Duration(min(n, 60))*time.Second
}
