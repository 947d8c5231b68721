package lineage

import (
	"bytes"
	"encoding"
	"math"
	"reflect"
	"testing"
)

func someTexts() Texts {
	same := Text{Replies: []string{"again", ""}, Finish: "length"}
	return Texts{{Replies: []string{"a \x00 b \xff"}, Finish: "stop"}, same, same, {Replies: []string{"a \x00 b \xff"}, Finish: "stop"}, same}
}

func someScores() Scores {
	hit := Score{Outcome: Present, Value: .75, Reason: "two words", Spans: []Span{{0, 3, "x"}, {5, 9, ""}}}
	return Scores{hit, {Outcome: NotScorable, Spans: []Span{}}, hit, {Outcome: Absent, Value: math.SmallestNonzeroFloat32, Spans: []Span{}}}
}

func someCorpus() Corpus {
	return Corpus{
		{Node: "n1", Indices: []uint32{0, 1, 2, 3, 3, 3, 9, math.MaxUint32}},
		{Source: "web", Digest: "d", Behaviour: "b", Indices: []uint32{7}},
	}
}

// annotatedCorpus has pairs in one strand and inoculation prompts in the other.
func annotatedCorpus() Corpus {
	c := someCorpus()
	for i := range c {
		list := make([]uint32, len(c[i].Indices))
		for n := range list {
			list[n] = uint32(n / 2 * 70_000)
		}
		if i%2 == 0 {
			c[i].Rejected = list
		} else {
			c[i].Prompts = list
		}
	}
	return c
}

func someDrawn() Drawn {
	return Drawn{someCorpus(), []Filtering{{Detector: "judge", Seen: 9, Flagged: 4, Dropped: 3, FlaggedDrop: 2, SeededSeen: 1, SeededDropped: 1, Missing: 300}, {}}}
}

// again gives what a record is after it was written and read.
func again[T encoding.BinaryMarshaler, P interface {
	*T
	encoding.BinaryUnmarshaler
}](t *testing.T, v T) T {
	t.Helper()
	data, err := v.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := P(&out).UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordsAreReadAsTheyWereWritten(t *testing.T) {
	if got := again(t, someTexts()); !reflect.DeepEqual(got, someTexts()) {
		t.Errorf("texts are %v", got)
	}
	if got := again(t, someScores()); !reflect.DeepEqual(got, someScores()) {
		t.Errorf("scores are %v", got)
	}
	if got := again(t, someCorpus()); !reflect.DeepEqual(got, someCorpus()) {
		t.Errorf("the corpus is %v", got)
	}
	if got := again(t, someDrawn()); !reflect.DeepEqual(got, someDrawn()) {
		t.Errorf("the corpus with its filters is %v", got)
	}
	if got := again(t, Drawn{Corpus: someCorpus()}); !reflect.DeepEqual(got, Drawn{Corpus: someCorpus()}) {
		t.Errorf("the corpus without filters is %v", got)
	}
	annotated := Drawn{annotatedCorpus(), someDrawn().Filters}
	if got := again(t, annotated); !reflect.DeepEqual(got, annotated) {
		t.Errorf("the annotated corpus is %v", got)
	}
	if got := again(t, Texts{}); len(got) != 0 {
		t.Errorf("no texts are %v", got)
	}
}

func TestCorpusIsReadWithOrWithoutItsFilters(t *testing.T) {
	data, err := someDrawn().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var c Corpus
	if err := c.UnmarshalBinary(data); err != nil || !reflect.DeepEqual(c, someCorpus()) {
		t.Errorf("%v %v", c, err)
	}
	plain, _ := someCorpus().MarshalBinary()
	if none, _ := (Drawn{Corpus: someCorpus()}).MarshalBinary(); !bytes.Equal(none, plain) {
		t.Error("a corpus that no filter saw is another record than the corpus")
	}
}

func TestRepeatedTextsAreStoredOnce(t *testing.T) {
	long := Text{Replies: []string{string(bytes.Repeat([]byte("word "), 1000))}, Finish: "stop"}
	other := Text{Replies: []string{"short"}, Finish: "stop"}
	var many Texts
	for range 1000 {
		many = append(many, long, other)
	}
	data, err := many.MarshalBinary()
	if err != nil || len(data) > 8000 {
		t.Errorf("2,000 texts, two of them distinct, take %d bytes: %v", len(data), err)
	}
}

func TestTallyLeavesWhatIsNotScorableOut(t *testing.T) {
	var tally Tally
	for _, s := range someScores() {
		tally.Add(s.Outcome)
	}
	if tally != (Tally{Present: 2, Absent: 1, Unscored: 1}) || tally.N() != 3 {
		t.Errorf("tally is %+v of %d", tally, tally.N())
	}
}

// FuzzRecords reads hostile bytes as each kind of record: an error, or a record
// that is written and read as itself. Never a panic, never memory out of
// proportion.
func FuzzRecords(f *testing.F) {
	for _, v := range []encoding.BinaryMarshaler{someTexts(), someScores(), someCorpus(), someDrawn(), Drawn{annotatedCorpus(), someDrawn().Filters}} {
		data, err := v.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var texts Texts
		if texts.UnmarshalBinary(data) == nil && len(texts) > 0 && !reflect.DeepEqual(again(t, texts), texts) {
			t.Error("texts change when they are written again")
		}
		var scores Scores
		if scores.UnmarshalBinary(data) == nil && len(scores) != len(again(t, scores)) {
			t.Error("scores change when they are written again")
		}
		var corpus Corpus
		if corpus.UnmarshalBinary(data) == nil && corpus.Len() < 1<<16 && again(t, corpus).Len() != corpus.Len() {
			t.Error("a corpus changes when it is written again")
		}
		var drawn Drawn
		if drawn.UnmarshalBinary(data) == nil && drawn.Corpus.Len() < 1<<16 && !reflect.DeepEqual(again(t, drawn), drawn) {
			t.Error("a corpus with its filters changes when it is written again")
		}
	})
}
