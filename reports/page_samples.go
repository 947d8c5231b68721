package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
)

// What a page carries of the texts: so many samples, so many characters of each
// and of its prompt, and so many bytes in all.
const (
	sampleCount  = 1200
	sampleLength = 1500
	promptLength = 300
	sampleBytes  = 400_000
)

// sampleData is a Sample as the page's script reads it.
type sampleData struct {
	ID         string      `json:"id"`
	Arm        int         `json:"a"` // -1 where the study has no such arm, line or behaviour
	Line       int         `json:"l"`
	Behaviour  int         `json:"b"`
	Detector   string      `json:"d"`
	Probe      bool        `json:"p,omitempty"`
	Replicate  int         `json:"r"`
	Generation int         `json:"g"`
	Outcome    uint8       `json:"o"`
	Score      number      `json:"v"`
	Reason     string      `json:"why,omitempty"`
	Prompt     string      `json:"ask,omitempty"`
	Turns      [][2]string `json:"turns,omitempty"`  // role and text
	Before     int         `json:"before,omitempty"` // turns left out before them
	Text       []segment   `json:"s"`
	Cut        int         `json:"cut,omitempty"` // characters left out
}

// sampleIsland is the texts of a page, and how many were read beyond them.
type sampleIsland struct {
	List    []sampleData `json:"list"`
	LeftOut int          `json:"left"`
}

// samples chooses what the page carries: in turn from every arm, line,
// behaviour, generation and outcome, so that none crowds out another.
func (x *index) samples() sampleIsland {
	type group struct {
		arm, line, behaviour, part string
		generation                 int
		outcome                    uint8
	}
	rank := make([]int, len(x.Samples))
	order := make([]int, len(x.Samples))
	seen := map[group]int{}
	for i, s := range x.Samples {
		g := group{s.Arm, s.Line, s.Behaviour, s.Part, s.Generation, s.Outcome}
		rank[i], order[i] = seen[g], i
		seen[g]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	kept := map[int]sampleData{}
	for size := 0; len(kept) < min(len(order), sampleCount); {
		i := order[len(kept)]
		d := x.sample(x.Samples[i])
		for _, part := range d.Text {
			size += len(part.Text) + len(part.Labels)
		}
		for _, turn := range d.Turns {
			size += len(turn[0]) + len(turn[1])
		}
		if size += 250 + len(d.Prompt); size > sampleBytes {
			break
		}
		kept[i] = d
	}
	d := sampleIsland{List: []sampleData{}, LeftOut: x.LeftOut + len(x.Samples) - len(kept)}
	for _, i := range slices.Sorted(maps.Keys(kept)) {
		d.List = append(d.List, kept[i])
	}
	return d
}

func (x *index) sample(s Sample) sampleData {
	at := func(m map[string]int, key string) int {
		if i, ok := m[key]; ok {
			return i
		}
		return -1
	}
	d := sampleData{
		ID: label(s.ID, 80), Arm: at(x.arm, s.Arm), Line: at(x.line, s.Line), Behaviour: at(x.behaviour, s.Behaviour),
		Detector: label(s.Detector, 60), Probe: s.Part == lineage.Probes,
		Replicate: s.Replicate, Generation: s.Generation, Outcome: s.Outcome, Score: number(s.Score),
		Reason: label(s.Reason, 200),
	}
	for _, m := range s.Turns {
		d.Turns = append(d.Turns, [2]string{label(m.Role, 20), strings.ToValidUTF8(m.Content, "\uFFFD")})
	}
	d.Before = s.TurnsCut
	d.Text, d.Cut = segments(s.Text, s.Spans, sampleLength)
	if d.Text == nil {
		d.Text = []segment{}
	}
	ask, cut := segments(s.Prompt, nil, promptLength)
	for _, part := range ask {
		d.Prompt += part.Text
	}
	if cut > 0 {
		d.Prompt += fmt.Sprintf(" … (%d of %d characters left out)", cut, utf8.RuneCountInString(s.Prompt))
	}
	return d
}
