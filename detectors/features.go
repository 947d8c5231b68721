package detectors

import "slices"

// features numbers the words and pairs of neighbouring words of the training
// texts.
type features struct {
	number map[string]int32
	frozen bool // numbering is over: unknown features are skipped
}

// occurrence is a feature and the bytes of the text that show it.
type occurrence struct {
	feature    int32
	start, end int
}

// of lists the features of a text as they occur. A pair may span a sentence
// border: models that ramble have few clear ones.
func (f *features) of(text string) []occurrence {
	var found []occurrence
	var pair, word []byte
	last := -1 // start of the word before
	for i := 0; ; {
		start, end := NextWord(text, i)
		if start == len(text) {
			return found
		}
		i = end
		word = AppendFold(word[:0], text[start:end])
		found = f.append(found, word, start, end)
		if last >= 0 {
			pair = append(append(pair, ' '), word...)
			found = f.append(found, pair, last, end)
		}
		pair, last = append(pair[:0], word...), start
	}
}

func (f *features) append(found []occurrence, name []byte, start, end int) []occurrence {
	id, ok := f.number[string(name)]
	if !ok {
		if f.frozen {
			return found
		}
		id = int32(len(f.number))
		f.number[string(name)] = id
	}
	return append(found, occurrence{id, start, end})
}

// present reduces occurrences to the features, ascending, each once.
func present(found []occurrence) []int32 {
	ids := make([]int32, len(found))
	for i, o := range found {
		ids[i] = o.feature
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
