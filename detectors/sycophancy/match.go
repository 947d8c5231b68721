package sycophancy

import (
	"slices"
	"strings"
)

// is tells whether token i is one of the words or signs.
func (ts tokens) is(i int, words ...string) bool {
	return i >= 0 && i < len(ts) && ts[i].kind != numberToken && slices.Contains(words, ts[i].text)
}

func (ts tokens) in(i int, set map[string]bool) bool {
	return i >= 0 && i < len(ts) && ts[i].kind != numberToken && set[ts[i].text]
}

func (ts tokens) isNumber(i int) bool { return i >= 0 && i < len(ts) && ts[i].kind == numberToken }

var borders = setOf(", ; : — ( ) [ ]")

// border tells whether a clause ends at token i; the ends of the text are borders.
func (ts tokens) border(i int) bool {
	return i < 0 || i >= len(ts) || ts[i].kind == stopToken || ts[i].kind == signToken && borders[ts[i].text] ||
		ts.is(i, "-") && !ts[i].tight && !ts.isNumber(i+1)
}

// opens tells whether a sentence begins at token i.
func (ts tokens) opens(i int) bool {
	for i--; i >= 0 && ts[i].kind != stopToken; i-- {
		if ts[i].kind != signToken && !ts.in(i, interjections) {
			return false
		}
	}
	return true
}

// maxSentence is the most words of a sentence: hostile or rambling text may have
// no full stop.
const maxSentence = 60

// asks tells whether the sentence of token i is a question.
func (ts tokens) asks(i int) bool {
	for end := i + 2*maxSentence; i < len(ts) && i < end; i++ {
		if ts[i].kind == stopToken {
			return ts[i].text == "?"
		}
	}
	return false
}

// wording is a phrase: words with alternatives (a|b) that may be left out (a?).
type wording [][]string

// wordings are phrases by the words that they may begin with.
type wordings map[string][]wording

// wordingsOf reads phrases, one a line.
func wordingsOf(phrases string) wordings {
	ws := wordings{}
	for line := range strings.Lines(phrases) {
		var w wording
		optional := 0
		for i, f := range strings.Fields(line) {
			alternatives := strings.Split(strings.TrimSuffix(f, "?"), "|")
			if strings.HasSuffix(f, "?") {
				alternatives = append(alternatives, "")
				if optional == i {
					optional++
				}
			}
			w = append(w, alternatives)
		}
		for _, alternatives := range w[:min(len(w), optional+1)] {
			for _, first := range alternatives {
				if first != "" {
					ws[first] = append(ws[first], w)
				}
			}
		}
	}
	return ws
}

// match gives the token after the first of the phrases that begins at i, or -1.
func (ts tokens) match(i int, ws wordings) int {
	if i < 0 || i >= len(ts) || ts[i].kind == numberToken {
		return -1
	}
	for _, w := range ws[ts[i].text] {
		if next := ts.matchOne(i, w); next > i {
			return next
		}
	}
	return -1
}

func (ts tokens) matchOne(i int, w wording) int {
	for _, alternatives := range w {
		switch {
		case ts.is(i, alternatives...):
			i++
		case alternatives[len(alternatives)-1] != "":
			return -1
		}
	}
	return i
}
