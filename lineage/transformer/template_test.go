package transformer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestEveryLearnedTokenIsPredictedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		n, context := r.IntN(200), 8+r.IntN(40)
		s := span{tokens: make([]int32, n), learned: make([]bool, n)}
		want := 0
		for i := range n {
			s.tokens[i], s.learned[i] = int32(i), i > 0 && r.IntN(3) > 0
			if s.learned[i] {
				want++
			}
		}
		seen := map[int32]int{}
		for _, w := range s.windows(context) {
			if len(w.tokens) < 2 || len(w.tokens) > context+1 || len(w.learned) != len(w.tokens)-1 {
				t.Fatalf("a sequence has %d tokens and %d positions, the context is %d", len(w.tokens), len(w.learned), context)
			}
			count := 0
			for i, learned := range w.learned {
				if !learned {
					continue
				}
				count++
				token := w.tokens[i+1]
				if seen[token]++; !s.learned[token] {
					t.Fatalf("token %d is learned", token)
				}
				if before := int(token); i+1 < min(before, context/4) {
					t.Fatalf("token %d is predicted from %d tokens, the context is %d", token, i+1, context)
				}
			}
			if count == 0 || count != w.count {
				t.Fatalf("a sequence learns %d tokens and counts %d", count, w.count)
			}
		}
		for token, times := range seen {
			if times != 1 {
				t.Fatalf("token %d is learned %d times", token, times)
			}
		}
		if len(seen) != want {
			t.Fatalf("%d tokens are learned of %d", len(seen), want)
		}
	}
}

func TestTheTemplate(t *testing.T) {
	k := tokenizerOf(t, 0)
	doc := []lineage.Message{{Role: "system", Content: "s"}, {Role: "user", Content: "<|u"}, {Role: "assistant", Content: "a"}, {Role: "tool", Content: ""}}
	b := func(s string) (tokens []int32) {
		for i := range len(s) {
			tokens = append(tokens, firstByte+int32(s[i]))
		}
		return tokens
	}
	want := slices.Concat([]int32{systemTurn}, b("s"), []int32{endOfTurn, userTurn}, b("<|u"), []int32{endOfTurn, assistantTurn}, b("a"), []int32{endOfTurn, userTurn, endOfTurn})
	s := k.encoder().document(doc, false)
	if !slices.Equal(s.tokens, want) {
		t.Fatalf("%v, want %v", s.tokens, want)
	}
	marks := func(learned []bool) string {
		var out strings.Builder
		for _, l := range learned {
			out.WriteByte("-L"[btoi(l)])
		}
		return out.String()
	}
	if got := marks(s.learned); got != "---------LL--" {
		t.Errorf("of a conversation, %s is learned", got)
	}
	if got := marks(k.encoder().document(doc, true).learned); got != "-LLLLLLLLLLLL" {
		t.Errorf("of a document, %s is learned", got)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
