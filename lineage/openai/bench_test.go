package openai

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// BenchmarkChat measures what the client costs a judge beside net/http alone: the
// same request to the same local server, by turns, as a ratio of the two.
func BenchmarkChat(b *testing.B) {
	s := openaitest.Start(b, hello)
	c := client(b, s, nil, Server{Requests: 1e9, Tokens: 1e12})
	r := question1("m")
	r.Schema = []byte(`{"type":"object"}`)
	byTurns(b, s, func() error {
		_, err := c.Chat(b.Context(), r)
		return err
	})
}

// BenchmarkSample measures the same for a model, with limits and a purse.
func BenchmarkSample(b *testing.B) {
	s := openaitest.Start(b, hello)
	c := client(b, s, nil, Server{Requests: 1e9, Tokens: 1e12})
	p := Profile{MaxTokens: "max_tokens", Seed: true, Given: &Price{Input: 1, Output: 1}}
	m := newModel(c, &Artifact{Model: "m"}, DefaultSampling(), p, lineage.World{Purse: &purse{cap: 1e18}})
	reqs := prompts(1)
	byTurns(b, s, func() error {
		return m.Sample(b.Context(), reqs, func(int, lineage.Completion) error { return nil })
	})
}

// byTurns asks through the client and through net/http alone, one after the other.
// The medians are compared: others use the machine too.
func byTurns(b *testing.B, s *openaitest.Server, ask func() error) {
	if err := ask(); err != nil {
		b.Fatal(err)
	}
	body := []byte(s.Requests()[0].Body)
	bare := func() {
		resp, err := http.Post(s.URL+"/chat/completions", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		start := time.Now()
		bare()
		middle := time.Now()
		if err := ask(); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, middle.Sub(start))
		ours = append(ours, time.Since(middle))
	}
	median := func(all []time.Duration) time.Duration { slices.Sort(all); return all[len(all)/2] }
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "of-net/http")
	b.ReportMetric(float64((median(ours)-median(theirs)).Nanoseconds())/1000, "µs-more/request")
}
