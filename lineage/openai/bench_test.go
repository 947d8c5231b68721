package openai

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// BenchmarkChat measures what the client costs beside net/http alone: the same
// request to the same local server, by turns, as a ratio of the two.
func BenchmarkChat(b *testing.B) {
	s := openaitest.Start(b, hello)
	c := client(b, s, nil, Server{Requests: 1e9, Tokens: 1e12})
	r := question1("m")
	r.Schema = []byte(`{"type":"object"}`)
	if _, err := c.Chat(b.Context(), r); err != nil {
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
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		bare()
		middle := time.Now()
		if _, err := c.Chat(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		theirs += middle.Sub(start)
		ours += time.Since(middle)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "of-net/http")
	b.ReportMetric(float64((ours-theirs).Microseconds())/float64(b.N), "µs-more/request")
}
