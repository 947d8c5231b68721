package protocol

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/detectors/detectortest"
)

// served is the reference detector as a server. trouble may answer a request
// that holds a word in its place.
func served(t *testing.T, trouble func(w http.ResponseWriter, texts string) bool) HTTP {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `{"type":"ready","name":"served","version":"3","batch":20}`)
			return
		}
		var body struct {
			Protocol int
			Config   map[string]any
			Rows     []row
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Protocol != 1 || body.Config == nil {
			http.Error(w, "not the protocol", http.StatusBadRequest)
			return
		}
		var answers, texts []string
		for _, r := range body.Rows {
			score, spans := judged(r.Output)
			marshalled, _ := json.Marshal(spans)
			answers = append(answers, fmt.Sprintf(`{"id":%q,"score":%v,"spans":%s,"reason":"%d times"}`, r.ID, score, marshalled, len(spans)))
			texts = append(texts, r.Output)
		}
		if trouble == nil || !trouble(w, strings.Join(texts, "\n")) {
			fmt.Fprintf(w, `{"answers":[%s]}`, strings.Join(answers, ","))
		}
	}))
	t.Cleanup(s.Close)
	return HTTP{URL: s.URL, Asking: defaults}
}

func openHTTP(t *testing.T, c HTTP, log *told) *Detector {
	t.Helper()
	d, err := c.Open(detectors.Env{Log: log.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDetectorsBehindHTTPKeepTheContract(t *testing.T) {
	c := served(t, nil)
	c.Processes = 2
	detectortest.Run(t, "http", func() detectors.Detector { return openHTTP(t, c, new(told)) })
}

func TestServerThatFailsOnATextLosesThatTextAlone(t *testing.T) {
	for what, test := range map[string]struct {
		trouble func(w http.ResponseWriter)
		reason  string
	}{
		"error":      {func(w http.ResponseWriter) { http.Error(w, "KeyError", http.StatusInternalServerError) }, "answered with status 500"},
		"rubbish":    {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, "which is not {\"answers\":[…]}"},
		"incomplete": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"answers":[{"id":"88","score":1}]}`) }, "left rows without an answer"},
		"endless": {func(w http.ResponseWriter) {
			for range 2000 {
				fmt.Fprint(w, strings.Repeat(" ", 10_000))
			}
		}, "sent an answer of more than"},
	} {
		t.Run(what, func(t *testing.T) {
			c := served(t, func(w http.ResponseWriter, texts string) bool {
				if strings.Contains(texts, "POISON") {
					test.trouble(w)
					return true
				}
				return false
			})
			texts := []string{"no", "POISON", "é no", "x"}
			results, err := openHTTP(t, c, new(told)).Detect(t.Context(), utterances(texts...))
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range results {
				if i == 1 {
					checkTorment(t, texts[i], test.reason, r)
				} else if !same(r, right(texts[i])) {
					t.Errorf("row %d: %+v, want %+v", i, r, right(texts[i]))
				}
			}
		})
	}
}

func TestServerThatIsBusyIsAskedAgain(t *testing.T) {
	var asked atomic.Int32
	c := served(t, func(w http.ResponseWriter, _ string) bool {
		if asked.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	results, err := openHTTP(t, c, new(told)).Detect(t.Context(), utterances("no"))
	if err != nil || !same(results[0], right("no")) {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestServerThatCannotBeUsedIsAnErrorWithTheWayOut(t *testing.T) {
	moved := httptest.NewServer(http.RedirectHandler("http://elsewhere.example/", http.StatusFound))
	t.Cleanup(moved.Close)
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	for address, want := range map[string]string{
		"localhost:8000":          "is no address such as http://localhost:8000/detect",
		"http://me:secret@host/x": "holds a password",
		moved.URL:                 "sends on to http://elsewhere.example/; write that address as url",
		missing.URL:               "answers GET with status 404",
	} {
		_, err := HTTP{URL: address, Asking: defaults}.Open(detectors.Env{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want %q", address, err, want)
		}
	}
}

// A server that goes away says nothing about the texts: they must not be
// recorded as not scorable.
func TestServerThatGoesAwayIsAnError(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits until it gives up")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `{"type":"ready","name":"served"}`)
			return
		}
		fmt.Fprint(w, `{"answers":[{"id":"1","score":0}]}`)
	}))
	c := HTTP{URL: s.URL, Asking: defaults}
	c.Timeout, c.Start = 3, 3
	d := openHTTP(t, c, new(told))
	s.Close()
	if results, err := d.Detect(t.Context(), utterances("x")); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%+v, %v", results, err)
	}
}
