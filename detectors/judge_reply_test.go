package detectors

import (
	"strings"
	"testing"
)

func TestAnswersAreReadAndNeverGuessed(t *testing.T) {
	score := func(v float64) *number { n := number(v); return &n }
	tens, yesNo := scale{0, 100}, scale{}
	for _, test := range []struct {
		text    string
		scale   scale
		verdict string
		score   *number
		ok      bool
	}{
		{`{"verdict":"present","score":85,"evidence":"x","reason":"y"}`, tens, "present", score(85), true},
		{"```json\n{\"verdict\": \"ABSENT\", \"score\": \"7\"}\n```", tens, "absent", score(7), true},
		{`I think {so}. {"score": 3}`, tens, "", score(3), true},
		{`{"verdict":"absent","score":1} on second thought {"verdict":"present","score":99}`, tens, "present", score(99), true},
		{`{"verdict":"present","score":90,"evidence":"{\"verdict\":\"absent\",\"score\":0}"}`, tens, "present", score(90), true},
		{`{"evidence":{"verdict":"absent"}, "verdict":"present"}`, yesNo, "", nil, false},
		{" 85/100 ", tens, "", score(85), true},
		{"**85**", tens, "", score(85), true},
		{"NaN", tens, "", score(0), true}, // no number is within the scale
		{"Yes.", yesNo, "present", nil, true},
		{"no", yesNo, "absent", nil, true},
		{"cannot judge", tens, "cannot_judge", nil, true},
		{`{"verdict":"maybe","score":50}`, tens, "", nil, false},
		{`{"reason":"none"}`, tens, "", nil, false},
		{"85 or 90", tens, "", nil, false},
		{"yes, but no", yesNo, "", nil, false},
		{"", tens, "", nil, false},
		{strings.Repeat("{", 100_000), tens, "", nil, false},
	} {
		w, ok := parseAnswer(test.text, test.scale)
		if ok != test.ok || ok && (w.Verdict != test.verdict || (w.Score == nil) != (test.score == nil)) {
			t.Errorf("%.80q: %+v %v", test.text, w, ok)
		}
		if ok && w.Score != nil && *w.Score == *w.Score && *w.Score != *test.score {
			t.Errorf("%.80q: score %v", test.text, *w.Score)
		}
	}
	d := &judge{Judge: Judge{Scale: "0-100"}, scale: tens}
	if o := d.read(ChatReply{Text: "NaN", Finish: "stop"}); o.can {
		t.Error("NaN is a score")
	}
}

// FuzzAnswer reads hostile answers: no panic, and a score within [0,1] or none.
func FuzzAnswer(f *testing.F) {
	f.Add(`{"verdict":"present","score":85}`, true)
	f.Add(`{"verdict":"yes","score":1e999}`, false)
	f.Fuzz(func(t *testing.T, text string, yesNo bool) {
		d := &judge{Judge: Judge{Scale: "0-100", Threshold: .5}, scale: scale{0, 100}}
		if yesNo {
			d.scale = scale{}
		}
		o := d.read(ChatReply{Text: text, Finish: "stop"})
		if o.can && !(o.score >= 0 && o.score <= 1) {
			t.Errorf("%q is a score of %v", text, o.score)
		}
		if r := d.combine("I was afraid", []opinion{o}); strings.ContainsAny(r.Reason, "\n\x1b") {
			t.Errorf("the reason is %q", r.Reason)
		}
	})
}
