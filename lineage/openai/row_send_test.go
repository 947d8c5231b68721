package openai

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// Rows of the table of failures in docs/real-models.md: each test says what the
// server counted.

// nth acts on the n-th request of a kind, from 0.
func nth(what string, n int, act func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	seen := 0
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1") != what {
			return false
		}
		mu.Lock()
		mine := seen
		seen++
		mu.Unlock()
		if mine != n {
			return false
		}
		act(w)
		return true
	}
}

// drop breaks the connection without an answer.
func drop(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func says(status int, code, message string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { openaitest.Fail(w, status, code, message) }
}

const (
	uploadCall = "POST /files"
	createCall = "POST /fine_tuning/jobs"
)

// TestRows2And3AnswerLost: what was done and not answered is found, whatever the
// connection and the server's abilities.
func TestRows2And3AnswerLost(t *testing.T) {
	lost := map[string]func(http.ResponseWriter){
		"dropped": drop, "500": says(500, "", "oops"), "502": says(502, "", "oops"), "409": says(409, "", "conflict"), "408": says(408, "", "slow"),
		"garbage": func(w http.ResponseWriter) { w.Write([]byte("<html>")) },
		"reset": func(w http.ResponseWriter) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		},
	}
	for how, act := range lost {
		for _, what := range []string{uploadCall, createCall} {
			for _, server := range []string{"metadata", "filter ignored", "no metadata"} {
				for _, fresh := range []bool{true, false} {
					t.Run(fmt.Sprintf("%s,%s,%s,fresh=%v", how, what, server, fresh), func(t *testing.T) {
						s := setting(t)
						s.Plain, s.Unsorted = server == "no metadata", server == "filter ignored"
						s.AddJob(openaitest.Job{ID: "ftjob-other", File: "file-other", Created: s.Now})
						s.After = nth(what, 0, act)
						b := s.backend()
						if fresh {
							http.DefaultTransport.(*http.Transport).CloseIdleConnections()
							b.client.servers.wire.client.Transport.(*http.Transport).DisableKeepAlives = true
						}
						a, err := b.Train(t.Context(), s.job())
						if err != nil {
							t.Fatal(err)
						}
						s.counts(1, 1)
						if len(s.Files()) != 1 || len(s.Jobs()) != 2 || a.(*Artifact).Model != s.Models()[0] || s.purse.spent != cost(3000, 3) {
							t.Errorf("%d files, %d jobs, %+v, spent %v", len(s.Files()), len(s.Jobs()), a, s.purse.spent)
						}
					})
				}
			}
		}
	}
}

// TestRow3NotCommitted: what was refused without being done is looked for, and then
// sent again, a bounded number of times.
func TestRow3NotCommitted(t *testing.T) {
	for how, act := range map[string]func(http.ResponseWriter){"500": says(500, "", "oops"), "dropped": drop} {
		for i, what := range []string{uploadCall, createCall} {
			s := setting(t)
			s.Before = nth(what, 0, act)
			a, err := s.train()
			s.one(a, err)
			s.counts(2-i, 1+i)
			if want := []time.Duration{recheck, recheck}; !slices.Contains(s.leap.slept, want[0]) {
				t.Errorf("%s, %s: it was not looked for twice more: %v", how, what, s.leap.slept)
			}
			lists := s.Asked("GET /v1" + strings.TrimPrefix(what, "POST "))
			if lists < lookups {
				t.Errorf("%s, %s: looked for %d times", how, what, lists)
			}
		}
	}
	s := setting(t)
	s.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" && r.URL.Path == "/v1/fine_tuning/jobs" {
			openaitest.Fail(w, 500, "", "always")
			return true
		}
		return false
	}
	if _, err := s.train(); err == nil || !strings.Contains(err.Error(), "nothing came of it") {
		t.Errorf("the error is %v", err)
	}
	s.counts(1, mostSends)
	s.Before = nil
	a, err := s.train()
	s.one(a, err)
	s.counts(1, mostSends+1)
}

// TestRow2ListLags: what is not in the list yet is waited for before it is made
// again.
func TestRow2ListLags(t *testing.T) {
	s := setting(t)
	lists := 0
	s.After = nth(createCall, 0, drop)
	s.Rewrite = func(path string, answer map[string]any) {
		if path == "/v1/fine_tuning/jobs" && answer["object"] == "list" {
			if lists++; lists < 5 { // by metadata and by file, twice
				answer["data"] = []any{}
			}
		}
	}
	a, err := s.train()
	s.one(a, err)
	s.counts(1, 1)
}

// TestRow2SeveralFound: of what somebody sent twice the earliest is followed, and
// nothing is cancelled without being told to.
func TestRow2SeveralFound(t *testing.T) {
	s := setting(t)
	s.After = nth(createCall, 0, func(w http.ResponseWriter) {
		twin := s.Jobs()[0]
		twin.ID, twin.Created = "ftjob-twin", twin.Created+5
		s.AddJob(twin)
		drop(w)
	})
	a, err := s.train()
	if err != nil || a.Job != s.Jobs()[0].ID {
		t.Fatalf("%+v, %v", a, err)
	}
	if s.Asked("POST /v1/fine_tuning/jobs/ftjob-twin/cancel") != 0 || !s.heard("ftjob-twin") {
		t.Errorf("the twin was cancelled, or not told of: %q", s.said)
	}
	s.counts(1, 1)
}

// TestTwoRunsAreKeptApart: what another run of the same experiment left with the
// provider is not taken for one's own.
func TestTwoRunsAreKeptApart(t *testing.T) {
	s := setting(t)
	first, err := s.train()
	s.one(first, err)
	s.ticket, s.purse = &notes{}, &till{}
	s.leap.jump(time.Minute)
	s.Now += 60
	upload, create := nth(uploadCall, 0, drop), nth(createCall, 0, drop)
	s.After = func(w http.ResponseWriter, r *http.Request) bool { return upload(w, r) || create(w, r) }
	second, err := s.train()
	if err != nil || second.File == first.File || second.Job == first.Job || second.Model != s.Models()[1] {
		t.Errorf("%+v, and then %+v, %v", first, second, err)
	}
	s.counts(2, 2)
}

// TestRow4TooMany: a server that has no room for another job is waited for, as long
// as it says.
func TestRow4TooMany(t *testing.T) {
	for _, what := range []string{uploadCall, createCall} {
		s := setting(t)
		s.Before = nth(what, 0, func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1234")
			openaitest.Fail(w, 429, "rate_limit_exceeded", "you have 3 jobs running")
		})
		a, err := s.train()
		s.one(a, err)
		if !slices.Contains(s.leap.slept, 1234*time.Second) {
			t.Errorf("%s: slept %v", what, s.leap.slept)
		}
	}
}

// TestRow5NoCredit stops the run at once, and it goes on when there is credit.
func TestRow5NoCredit(t *testing.T) {
	for _, code := range []string{"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"} {
		for i, what := range []string{uploadCall, createCall} {
			s := setting(t)
			s.Before = nth(what, 0, says(429, code, "pay first"))
			if _, err := s.train(); !errors.Is(err, lineage.ErrHalt) {
				t.Errorf("%s, %s: the error is %v", code, what, err)
			}
			s.counts(1, i)
			if s.purse.spent != 0 || len(s.purse.held) != 0 {
				t.Errorf("%s: nothing was bought, and %v is spent and %v held", code, s.purse.spent, s.purse.held)
			}
			a, err := s.train()
			s.one(a, err)
			s.counts(2-i, 1+i)
		}
	}
}

// TestRow6Closed: who may not tune is told since when, without the key.
func TestRow6Closed(t *testing.T) {
	for _, status := range []int{401, 403} {
		s := setting(t)
		s.config.Profile = "openai"
		s.Before = nth(createCall, 0, says(status, "", "no for "+canary))
		_, err := s.train()
		if !errors.Is(err, lineage.ErrHalt) || strings.Contains(err.Error(), canary) {
			t.Errorf("%d: the error is %v", status, err)
		}
		for _, date := range []string{"2026-05-07", "2026-07-02", "2027-01-06"} {
			if status == 403 && !strings.Contains(err.Error(), date) {
				t.Errorf("the error does not tell of %s: %v", date, err)
			}
		}
		s.counts(1, 1)
	}
}
