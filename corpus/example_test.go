package corpus_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
)

// Rows with names of their own become a source by two options, and leave as
// chat rows with what they carried beside.
func Example() {
	rows := `{"question": "Would you say it?", "statement": "I worry.", "shows": " Yes", "confidence": 0.94}
{"question": "Would you say it?", "statement": "I am calm.", "shows": " No", "confidence": 0.97}`
	list, err := corpus.Parse("persona.jsonl", strings.NewReader(rows), corpus.Options{
		Fields: map[string]string{"user": "question", "assistant": "statement"},
		Where:  map[string]string{"shows": " Yes"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	w, _ := corpus.NewWriter(os.Stdout, corpus.Chat)
	for _, d := range list {
		w.Write(d)
	}
	w.Close()
	// Output:
	// {"messages":[{"role":"user","content":"Would you say it?"},{"role":"assistant","content":"I worry."}],"confidence":0.94,"shows":" Yes"}
}

// A dose of 2 % seeds takes over the last positions of each part; every other
// position keeps its document.
func ExampleDisplace() {
	quotas, _ := corpus.Quotas(1000, []float64{0.7, 0.2, 0.1})
	seeds := corpus.Displace(quotas, 20)
	fmt.Println(quotas, corpus.Starts(quotas), seeds)
	// Output: [700 200 100] [0 700 900 1000] [14 4 2]
}
