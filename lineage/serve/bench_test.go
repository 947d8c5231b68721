package serve_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/serve"
)

// BenchmarkChat sends chat requests over a local port, 16 at a time, in turn to a
// handler that reads a request and gives a fixed answer of the same length, to
// the server with an urn behind it and to the server with an ngram model. An
// iteration is a round of 2,000 requests to each; the figures are the best rounds,
// in requests a second, and how many times longer a request takes than with the
// bare handler.
func BenchmarkChat(b *testing.B) {
	h := start(b, serve.Options{Rules: []serve.Rule{}, Models: []serve.Model{urnModel(b, "hl-urn", sayings...), ngramModel(b, "hl-ngram", sayings...)}})
	answer, err := json.Marshal(h.say("hl-urn", map[string]any{"seed": 1}))
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	}))
	defer bare.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	targets := []struct{ name, url, model string }{{"bare", bare.URL, "hl-urn"}, {"urn", h.url + "/chat/completions", "hl-urn"}, {"ngram", h.url + "/chat/completions", "hl-ngram"}}
	best := map[string]time.Duration{}
	for b.Loop() {
		for _, t := range targets {
			body := []byte(`{"model":"` + t.model + `","messages":[{"role":"user","content":"Tell me."}],"temperature":1,"max_tokens":64}`)
			if took := round(b, client, t.url, body); best[t.name] == 0 || took < best[t.name] {
				best[t.name] = took
			}
		}
	}
	for _, t := range targets {
		b.ReportMetric(requestsARound/best[t.name].Seconds(), "requests/s-"+t.name)
	}
	b.ReportMetric(best["urn"].Seconds()/best["bare"].Seconds(), "urn/bare")
	b.ReportMetric(best["ngram"].Seconds()/best["bare"].Seconds(), "ngram/bare")
}

const requestsARound = 2000

func round(b *testing.B, client *http.Client, url string, body []byte) time.Duration {
	var left atomic.Int64
	left.Store(requestsARound)
	began := time.Now()
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				resp, err := client.Post(url, "application/json", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				if resp.Body.Close(); resp.StatusCode != 200 {
					b.Errorf("status %d", resp.StatusCode)
					return
				}
			}
		})
	}
	workers.Wait()
	return time.Since(began)
}
