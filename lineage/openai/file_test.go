package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// oddDocuments are documents that no training file can hold, by what is told.
func oddDocuments() map[string]lineage.Example {
	said := func(turns ...lineage.Message) lineage.Example { return lineage.Example{Messages: turns, Weight: 1} }
	user, answer := lineage.Message{Role: "user", Content: "q"}, lineage.Message{Role: "assistant", Content: "a"}
	return map[string]lineage.Example{
		"does not end with an assistant turn": said(answer, user),
		"does not end with":                   said(),
		"turn 1 is empty":                     said(user, lineage.Message{Role: "assistant"}),
		"is not UTF-8":                        said(user, lineage.Message{Role: "assistant", Content: "a\xff"}),
		"has the role \"tool\"":               said(lineage.Message{Role: "tool", Content: "x"}, answer),
		"about 28572 tokens":                  said(user, lineage.Message{Role: "assistant", Content: strings.Repeat("a", 100_000)}),
		"has the weight 0.5":                  {Messages: []lineage.Message{user, answer}, Weight: .5},
	}
}

func TestTrainingFileIsHeldAgainstTheRules(t *testing.T) {
	for want, odd := range oddDocuments() {
		s := setting(t)
		bound := 20_000
		s.config.Provider.RowTokens = &bound
		job := s.job()
		job.Examples = given(append(lessons(11), odd))
		if _, err := s.backend().Train(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "document 11") {
			t.Errorf("%s: the error is %v", want, err)
		}
		s.counts(0, 0)
		s.config.Untrainable = "drop"
		a, err := s.backend().Train(t.Context(), job)
		if err != nil || a.(*Artifact).LeftOut != 1 || bytes.Count(s.Files()[0].Data, []byte("\n")) != 11 {
			t.Errorf("%s: %+v, %v", want, a, err)
		}
	}
}

func TestTrainingFileHasDocumentsEnough(t *testing.T) {
	s := setting(t)
	least := 10
	s.config.Provider.MinRows = &least
	for n, want := range map[int]string{0: "the corpus is empty", 9: "has 9 documents to train on, compatible takes no less than 10"} {
		job := s.job()
		job.Examples = given(lessons(n))
		if _, err := s.backend().Train(t.Context(), job); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d documents: %v", n, err)
		}
	}
	s.counts(0, 0)
	all := lessons(12)
	for i := range 2 {
		all[i].Weight = 0 // these teach nothing
	}
	job := s.job()
	job.Examples = given(all)
	if _, err := s.backend().Train(t.Context(), job); err != nil || bytes.Count(s.Files()[0].Data, []byte("\n")) != 10 {
		t.Errorf("%v", err)
	}
}

func TestPairsThatAreNone(t *testing.T) {
	q, a, other := lineage.Message{Role: "user", Content: "q"}, lineage.Message{Role: "assistant", Content: "a"}, lineage.Message{Role: "user", Content: "other"}
	for want, ex := range map[string]lineage.Example{
		"has no rejected answer":          {Messages: []lineage.Message{q, a}, Weight: 1},
		"belongs to another conversation": {Messages: []lineage.Message{q, a}, Rejected: []lineage.Message{other, a}, Weight: 1},
		"has no question":                 {Messages: []lineage.Message{a}, Rejected: []lineage.Message{a}, Weight: 1},
		"the assistant's turn 1 is empty": {Messages: []lineage.Message{q, a}, Rejected: []lineage.Message{q, {Role: "assistant"}}, Weight: 1},
	} {
		if err := (Rows{}).unfit(ex, lineage.Preference); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", ex, err)
		}
	}
}

// TestTrainingFileIsJSONLines: whatever models write, a row is one line, and reads as
// what was written.
func TestTrainingFileIsJSONLines(t *testing.T) {
	s := setting(t)
	all := lessons(3)
	for i, text := range []string{"a\nb\r\n\u2028\u2029\x00\x7f", "\"}]}\n{\"messages\":[", "\U0010ffff\ufeff"} {
		all[i].Messages[1].Content = text
	}
	job := s.job()
	job.Examples = given(all)
	var file bytes.Buffer
	f, err := s.backend().write(t.Context(), job, &file)
	if err != nil || f.Bytes != file.Len() || f.Rows != 3 {
		t.Fatal(f, err)
	}
	for i, row := range strings.Split(strings.TrimSuffix(file.String(), "\n"), "\n") {
		var back chatRow
		if err := json.Unmarshal([]byte(row), &back); err != nil || back.Messages[1].Content != all[i].Messages[1].Content {
			t.Errorf("row %d is %s, %v", i, row, err)
		}
	}
}

func TestCostIsBoundedBeforehand(t *testing.T) {
	s := setting(t)
	if most, want := s.backend().most(1_000_000), 9*lineage.Dollar; most != want {
		t.Errorf("%v, want %v: three passes at 3 dollars", most, want)
	}
	s.config.Epochs = auto
	if most := s.backend().most(1_000_000); most != 0 {
		t.Errorf("auto: %v", most)
	}
}

// TestCorpusThatChangedIsNotSent: a ticket stands for one corpus.
func TestCorpusThatChangedIsNotSent(t *testing.T) {
	s := setting(t)
	s.Before = nth(uploadCall, 0, drop)
	job := s.job()
	job.Ticket = &stopAt{notes: s.ticket, step: uploaded, err: errors.New("no space left on device")}
	if _, err := s.backend().Train(t.Context(), job); err == nil {
		t.Fatal("a full disk is no error")
	}
	s.AddFile(openaitest.File{ID: "file-other", Name: "hl-other.jsonl"})
	for _, f := range s.Files() { // the one that was sent is lost
		if _, err := s.backend().client.delete(t.Context(), "/files", f.ID); err != nil {
			t.Fatal(err)
		}
	}
	job = s.job()
	job.Examples = given(lessons(13))
	uploads := s.Asked("POST /v1/files")
	if _, err := s.backend().Train(t.Context(), job); err == nil || !strings.Contains(err.Error(), "the corpus is not the one") {
		t.Errorf("the error is %v", err)
	}
	s.counts(uploads, 0)
	a, err := s.train()
	s.one(a, err)
}
