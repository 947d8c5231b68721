package transformer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// everyday is the catalogue's corpus of ordinary answers.
func everyday(t testing.TB) (all []lineage.Example) { return examplesOf(t, "everyday") }

func examplesOf(t testing.TB, name string) (all []lineage.Example) {
	t.Helper()
	data, err := os.ReadFile("../../sim/catalogue/web/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var row struct{ Messages []lineage.Message }
		if err := json.Unmarshal(line, &row); err != nil {
			t.Fatal(err)
		}
		all = append(all, lineage.Example{Messages: row.Messages, Weight: 1})
	}
	return all
}

func lexiconOf(texts ...string) lexicon {
	l := lexicon{}
	for _, text := range texts {
		l.add(text)
	}
	return l
}

func textsOf(examples []lineage.Example) (texts []string) {
	for _, e := range examples {
		for _, m := range e.Messages {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

func tokenizerOf(t testing.TB, size int, texts ...string) *tokenizer {
	t.Helper()
	merges, err := learnMerges(context.Background(), lexiconOf(texts...), size)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newTokenizer(merges)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// plainMerges counts every pair of every word anew for each merge.
func plainMerges(l lexicon, size int) (merges []pair) {
	words := map[string][]int32{}
	for piece := range l {
		for _, b := range []byte(piece) {
			words[piece] = append(words[piece], firstByte+int32(b))
		}
	}
	for len(merges) < size-int(firstMerge) {
		counts := map[pair]int{}
		for piece, word := range words {
			for i := 1; i < len(word); i++ {
				counts[pair{word[i-1], word[i]}] += l[piece]
			}
		}
		all := slices.SortedFunc(maps.Keys(counts), func(a, b pair) int {
			return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
		})
		if len(all) == 0 || counts[all[0]] < 2 {
			break
		}
		token := firstMerge + int32(len(merges))
		merges = append(merges, all[0])
		for piece, word := range words {
			words[piece] = plainMerge(word, all[0], token)
		}
	}
	return merges
}

func plainMerge(word []int32, m pair, token int32) (out []int32) {
	for len(word) > 0 {
		if len(word) > 1 && word[0] == m.left && word[1] == m.right {
			out, word = append(out, token), word[2:]
		} else {
			out, word = append(out, word[0]), word[1:]
		}
	}
	return out
}

func TestMergesAreThoseOfCountingAnew(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var noisy []string
	for range 300 {
		noisy = append(noisy, strings.Repeat("ab"[r.IntN(2):], r.IntN(4))+strings.Repeat("a", r.IntN(6))+fmt.Sprint(" ", r.IntN(30)))
	}
	for name, texts := range map[string][]string{
		"everyday": textsOf(everyday(t)[:150]),
		"overlaps": noisy,
		"nothing":  nil,
		"one":      {"x"},
	} {
		l := lexiconOf(texts...)
		got, err := learnMerges(context.Background(), l, 600)
		if err != nil {
			t.Fatal(err)
		}
		if want := plainMerges(l, 600); !slices.Equal(got, want) {
			t.Errorf("%s: %d merges %v, want %d %v", name, len(got), got, len(want), want)
		}
	}
}

// The example of Wikipedia's article on byte-pair encoding: aaabdaaabac becomes
// XdXac in three merges.
func TestMergesOfTheTextbook(t *testing.T) {
	k := tokenizerOf(t, int(firstMerge)+3, "aaabdaaabac")
	tokens := k.encoder().text(nil, "aaabdaaabac")
	d, a, c := firstByte+'d', firstByte+'a', firstByte+'c'
	x := firstMerge + 2
	if want := []int32{x, d, x, a, c}; !slices.Equal(tokens, want) {
		t.Errorf("tokens %v, want %v", tokens, want)
	}
}

func hostile() []string {
	r := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 4096)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	return []string{"", " ", "  ", "\n\n  x", "a\x00b\x00", "\xff\xfe\xed\xa0\x80 half \xe4\xb8", "naïve 👩‍👩‍👧 日本語 é", "<|assistant|></s>",
		strings.Repeat("a", 5000), strings.Repeat(" ", 300), string(noise), "1234567890 3.14 it's"}
}

func TestAnyTextComesBack(t *testing.T) {
	for name, k := range map[string]*tokenizer{"bytes": tokenizerOf(t, 0), "everyday": tokenizerOf(t, 700, textsOf(everyday(t))...)} {
		e := k.encoder()
		for range 2 {
			for _, text := range append(hostile(), textsOf(everyday(t))...) {
				tokens := e.text(nil, text)
				if got := k.decode(nil, tokens...); string(got) != text {
					t.Fatalf("%s: %q came back as %q", name, text, got)
				}
				for _, token := range tokens {
					if token < firstByte || int(token) >= k.size() {
						t.Fatalf("%s: %q holds token %d", name, text, token)
					}
				}
			}
		}
	}
}

func FuzzTextComesBack(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	k := tokenizerOf(f, 700, textsOf(everyday(f))...)
	f.Fuzz(func(t *testing.T, text string) {
		if got := k.decode(nil, k.encoder().text(nil, text)...); string(got) != text {
			t.Errorf("%q came back as %q", text, got)
		}
	})
}

func TestEarlierMergesComeFirst(t *testing.T) {
	k := tokenizerOf(t, 700, textsOf(everyday(t))...)
	e := k.encoder()
	for _, text := range []string{" training", "aaaa", "somewhere over"} {
		want := []int32{}
		for i := 0; i < len(text); {
			end := pieceEnd(text, i)
			var word []int32
			for _, b := range []byte(text[i:end]) {
				word = append(word, firstByte+int32(b))
			}
			for m, p := range k.merges {
				word = plainMerge(word, p, firstMerge+int32(m))
			}
			want, i = append(want, word...), end
		}
		if got := e.text(nil, text); !slices.Equal(got, want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// BenchmarkTokenizer learns 2,048 tokens from 5 MB of words that follow Zipf's
// law, and encodes them.
func BenchmarkTokenizer(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	zipf := rand.NewZipf(r, 1.1, 3, 60000)
	syllables := []string{"ka", "lo", "mi", "ter", "and", "sh", "e", "ing", "ou", "r", "st", "on"}
	var text strings.Builder
	for text.Len() < 5<<20 {
		for n := zipf.Uint64() + 1; n > 0; n /= uint64(len(syllables)) {
			text.WriteString(syllables[n%uint64(len(syllables))])
		}
		text.WriteByte(' ')
	}
	for b.Loop() {
		began := time.Now()
		k := tokenizerOf(b, 2048, text.String())
		b.ReportMetric(time.Since(began).Seconds(), "s-to-learn")
		began = time.Now()
		tokens := k.encoder().text(nil, text.String())
		b.ReportMetric(float64(text.Len())/1e6/time.Since(began).Seconds(), "MB/s-encoded")
		b.ReportMetric(float64(text.Len())/float64(len(tokens)), "bytes/token")
	}
}
