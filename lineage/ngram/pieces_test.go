package ngram

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPiecesAreWordsWithTheSpaceBefore(t *testing.T) {
	for text, want := range map[string][]string{
		"":                      nil,
		"I am, perhaps, sad.":   {"I", " am", ",", " perhaps", ",", " sad", "."},
		"a  b":                  {"a", " ", " b"},
		"a\n\n    b":            {"a", "\n\n   ", " b"},
		" \n":                   {" \n"},
		"end ":                  {"end", " "},
		"don't stop_it 42!?":    {"don", "'", "t", " stop_it", " 42", "!?"},
		"naïve café":            {"naïve", " café"},
		"我很累 ok":                {"我", "很", "累", " ok"},
		"a\xff\xfeb":            {"a", "\xff\xfe", "b"},
		"\u00a0x":               {"\u00a0", "x"},
		strings.Repeat("x", 65): {strings.Repeat("x", 64), "x"},
	} {
		if got := split(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzPiecesConcatenateToTheText(f *testing.F) {
	for _, seed := range []string{"", "a b", " \n\ta  b", "\xff\xf0\x9f", "日本 x", strings.Repeat("é", 70), "e\u0301 \u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces := split(text)
		if strings.Join(pieces, "") != text {
			t.Fatalf("%q became %q", text, pieces)
		}
		for _, piece := range pieces {
			if piece == "" || len(piece) > maxPiece+utf8.UTFMax {
				t.Fatalf("a piece of %d bytes in %q", len(piece), text)
			}
			if utf8.ValidString(text) && !utf8.ValidString(piece) {
				t.Fatalf("a character of %q is torn", text)
			}
		}
	})
}

func FuzzVocabularyIsAMap(f *testing.F) {
	f.Add("a b a", uint8(3))
	f.Add(strings.Repeat("word other thing ", 900), uint8(1))
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		v, want := newVocabulary(), map[string]uint32{}
		for i := 0; i < len(text); i += int(step%7) + 1 {
			s := text[i:min(len(text), i+1+i%11)]
			if _, ok := want[s]; !ok {
				want[s] = uint32(len(want) + 1)
			}
			if got := v.intern(s); got != want[s] || string(v.text(got)) != s {
				t.Fatalf("%q is %d, want %d", s, got, want[s])
			}
		}
	})
}
