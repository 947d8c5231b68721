package detectors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func openLexicon(t testing.TB, c Lexicon, files map[string]string) *lexicon {
	t.Helper()
	if c.MinHits == 0 {
		c.MinHits = 1
	}
	d, err := c.open(Env{Open: func(name string) (io.ReadCloser, error) {
		text, ok := files[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*lexicon)
}

func found(text string, r Result) []string {
	var all []string
	for _, s := range r.Spans {
		all = append(all, text[s.Start:s.End])
	}
	return all
}

func TestLexiconFindsWordsAsPeopleReadThem(t *testing.T) {
	for _, c := range []struct {
		words []string
		text  string
		want  []string
	}{
		{[]string{"fear"}, "Fear, FEAR; fearful feared a-fear", []string{"Fear", "FEAR", "fear"}},
		{[]string{"trauma*"}, "trauma traumatised atrauma", []string{"trauma", "traumatised"}},
		{[]string{"shut down", "shut"}, "They shut\ndown; shut. Down, *shut* -down", []string{"shut\ndown", "shut", "shut* -down"}},
		{[]string{"σίσυφος"}, "ΣΊΣΥΦΟΣ", []string{"ΣΊΣΥΦΟΣ"}},
		{[]string{"kiss"}, "\u212aIſS", []string{"\u212aIſS"}},
		{[]string{"don't"}, "I don’t, I dont", []string{"don’t"}},
		{[]string{"怖い"}, "私は怖いです", []string{"怖い"}},
		{[]string{"🌀"}, "the 🌀🌀 turns", []string{"🌀", "🌀"}},
		{[]string{"cafe"}, "cafe\u0301 cafe", []string{"cafe"}},
		{[]string{"trauma"}, "trau\u00adma tra\u200bu", []string{"trau\u00adma"}},
		{[]string{"fear of the dark", "the dark night"}, "fear of the dark night", []string{"fear of the dark"}},
		{[]string{"no"}, "\xffno\xffno\x00no", []string{"no", "no", "no"}},
	} {
		d := openLexicon(t, Lexicon{Words: c.words}, nil)
		if got := found(c.text, d.detect(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: %q, want %q", c.words, c.text, got, c.want)
		}
	}
}

// TestLexiconAgreesWithARegularExpression compares the trie with leftmost-longest
// alternation on random ASCII texts.
func TestLexiconAgreesWithARegularExpression(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(n int, from string) string {
		var b strings.Builder
		for range n {
			b.WriteByte(from[r.IntN(len(from))])
		}
		return b.String()
	}
	for range 2000 {
		var entries, patterns []string
		for range 1 + r.IntN(4) {
			words := []string{}
			for range 1 + r.IntN(3) {
				words = append(words, pick(1+r.IntN(3), "abB"))
			}
			entry := strings.Join(words, " ")
			pattern := strings.Join(words, `[ '-]+`)
			if r.IntN(3) == 0 {
				entry, pattern = entry+"*", pattern+"[a-zA-Z]*"
			}
			entries, patterns = append(entries, entry), append(patterns, pattern)
		}
		re := regexp.MustCompile(`(?i)\b(?:` + strings.Join(patterns, "|") + `)\b`)
		re.Longest()
		text := pick(40, "aabbAB  '-.")
		want := re.FindAllString(text, -1)
		if got := found(text, openLexicon(t, Lexicon{Words: entries}, nil).detect(text)); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %q, want %q", entries, text, got, want)
		}
	}
}

func TestLexiconScoreIsOneHalfAtMinHits(t *testing.T) {
	d := openLexicon(t, Lexicon{Words: []string{"fear"}, MinHits: 3, Threshold: .5}, nil)
	for n, want := range map[int]Outcome{0: Absent, 2: Absent, 3: Present, 50: Present} {
		r := d.detect("so " + strings.Repeat("fear ", n))
		if r.Outcome != want || n == 3 && r.Score != .5 {
			t.Errorf("%d hits: %v with score %v, want %v", n, r.Outcome, r.Score, want)
		}
	}
}

func TestLexiconReadsEntriesFromAFile(t *testing.T) {
	d := openLexicon(t, Lexicon{Words: []string{"dread"}, File: "words.txt"},
		map[string]string{"words.txt": "\ufeff# fears\nshut down\r\n\n  void  \n"})
	text := "dread, fears: shut down, void"
	if got := found(text, d.detect(text)); !slices.Equal(got, []string{"dread", "shut down", "void"}) {
		t.Errorf("found %q", got)
	}
	other := openLexicon(t, Lexicon{Words: []string{"dread"}, File: "words.txt"}, map[string]string{"words.txt": "void"})
	if d.Digest() == other.Digest() {
		t.Error("files that differ have one digest")
	}
}

func TestLexiconSaysAllThatIsWrong(t *testing.T) {
	_, err := Lexicon{Words: []string{"...", "ok"}, Threshold: 1.3}.open(Env{})
	for _, want := range []string{"lexicon.threshold: 1.3 is not within [0,1]", "lexicon.min_hits: 0 is less than 1", `entry 1, "..." holds no word`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	_, err = Lexicon{MinHits: 1, File: "gone"}.open(Env{Open: func(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want that the file is missing", err)
	}
	if _, err := parseEntries(strings.NewReader("ok\n\xff\n"), "w.txt"); err == nil || !strings.HasPrefix(err.Error(), "w.txt:2:") {
		t.Errorf("error %v, want w.txt:2", err)
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "a b", "é\u0301x", "\xff\xe2\x82", "怖い🌀", "\u200d", "a\u200d\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		border := map[int]bool{len(s): true}
		for i := range s {
			border[i] = true
		}
		for i := 0; i < len(s); {
			start, end := NextWord(s, i)
			if start == len(s) {
				break
			}
			if start < i || end <= start || !border[start] || !border[end] {
				t.Fatalf("word [%d:%d] of %q from %d", start, end, s, i)
			}
			if !utf8.Valid(AppendFold(nil, s[start:end])) {
				t.Fatalf("%q folds to no UTF-8", s[start:end])
			}
			i = end
		}
	})
}

// prose is text of a bench's size in which few words are in the lexicon.
func prose(size int) string {
	words := strings.Fields("the river ran past the old mill where nobody had worked since the war and children fished from the wall until dark with bread for bait while trains went by")
	r := rand.New(rand.NewPCG(3, 4))
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(words[r.IntN(len(words))])
		if b.WriteByte(' '); r.IntN(500) == 0 {
			b.WriteString("I suffer. ")
		}
	}
	return b.String()
}

func BenchmarkLexicon(b *testing.B) {
	var words []string
	for i := range 1000 {
		words = append(words, fmt.Sprintf("%c%cx%d", 'a'+i%26, 'a'+i/26%26, i))
	}
	d := openLexicon(b, Lexicon{Words: append(words, "suffer*", "shut down", "the dark")}, nil)
	text := prose(1 << 20)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		d.detect(text)
	}
}
