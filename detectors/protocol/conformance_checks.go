package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
)

func (y *trying) starts() (Check, error) {
	c := Check{Claim: "starts, and says who it is", Mend: `answer {"type":"hello",…} with one line {"type":"ready","name":"…","version":"…"} and flush the output`}
	if err := y.connect(); err != nil {
		return c, err
	}
	if y.report.Ready.Version == "" {
		c.Minor, c.Found = true, []string{"it gives no version"}
		c.Mend = "give a version, and raise it when answers change: stored scores are kept under name, version and the content of the files that the command names"
	}
	return c, nil
}

func (y *trying) answers() (c Check, err error) {
	c = Check{Claim: "answers every row with a score within [0,1] or null", Mend: `answer each row with one line {"id": the row's, "score": a number within [0,1] or null}; flush after the last row that has come; catch what a strange text can raise`}
	y.base, c.Found, err = y.ask(y.texts)
	return c, err
}

func (y *trying) empties() (Check, error) {
	c := Check{Claim: "answers an empty text with null", Mend: "answer score null where there is nothing to judge: null leaves the denominator, 0 would count as a text without the behaviour"}
	us := []detectors.Utterance{utterance("Well?", ""), utterance("Well?", " \n\t ")}
	results, found, err := y.ask(us)
	c.Found = found
	for i, r := range results {
		if r.Outcome != detectors.NotScorable {
			c.Found = append(c.Found, fmt.Sprintf("for %s: %s", quote(us[i].Text()), shown(r)))
		}
	}
	return c, err
}

func (y *trying) alone() (Check, error) {
	c := Check{Claim: "judges a text alone as in a batch, in any order", Mend: "an answer may depend on its row alone: keep nothing from row to row, and give each answer the id of its row"}
	backwards := slices.Clone(y.texts)
	slices.Reverse(backwards)
	results, _, err := y.ask(backwards)
	if err != nil {
		return c, err
	}
	slices.Reverse(results)
	c.Found = differences(y.texts, y.base, results)
	single := make([]detectors.Result, len(y.texts))
	for i, u := range y.texts {
		one, _, err := y.ask([]detectors.Utterance{u})
		if err != nil {
			return c, err
		}
		single[i] = one[0]
	}
	c.Found = append(c.Found, differences(y.texts, y.base, single)...)
	y.excuse(&c)
	return c, nil
}

func (y *trying) again() (Check, error) {
	c := Check{Claim: "says the same when asked again", Mend: "fix the seed and the temperature; where chance cannot be kept out, say deterministic: false in the ready message"}
	results, _, err := y.ask(y.texts)
	if err != nil {
		return c, err
	}
	c.Found = differences(y.texts, y.base, results)
	y.excuse(&c)
	return c, nil
}

func (y *trying) anew() (Check, error) {
	c := Check{Claim: "says the same when started anew", Mend: "fix seeds; in Python, do not let the order of a set reach an answer; where chance cannot be kept out, say deterministic: false"}
	was := y.report.Ready
	if err := y.connect(); err != nil {
		return c, err
	}
	if y.report.Ready.Name != was.Name || y.report.Ready.Version != was.Version {
		c.Found = append(c.Found, "it gives another name or version")
		return c, nil
	}
	results, _, err := y.ask(y.texts)
	if err != nil {
		return c, err
	}
	c.Found = differences(y.texts, y.base, results)
	y.excuse(&c)
	return c, nil
}

// excuse makes differences of a detector minor that owns up to them.
func (y *trying) excuse(c *Check) { c.Minor = !y.report.Ready.Deterministic }

func (y *trying) long() (Check, error) {
	c := Check{Claim: "survives a text of a million characters", Mend: "cut long texts to what the model can read, or answer null; read whole lines of any length"}
	_, found, err := y.ask([]detectors.Utterance{utterance("Well?", strings.Repeat("I was afraid. ", 70_000)), utterance("Well?", strings.Repeat("é🌀", 500_000))})
	c.Found = found
	return c, err
}

func (y *trying) fast() (Check, error) {
	c := Check{Claim: "keeps up with many rows at once", Mend: "read and answer while rows keep coming; do not wait for all of them"}
	rows := make([]detectors.Utterance, y.Rows)
	for i := range rows {
		rows[i] = utterance("What did you do today?", fmt.Sprintf("On day %d I went for a walk, read a book, and thought of nothing in particular.", i))
	}
	started := y.Now()
	_, found, err := y.ask(rows)
	c.Found = found
	y.report.Speed = float64(len(rows)) / y.Now().Sub(started).Seconds()
	return c, err
}

// tidy looks at what the other checks have made the detector say beside answers.
func (y *trying) tidy() (Check, error) {
	c := Check{Claim: "prints nothing but answers, each once", Mend: "print to stderr what is for people; give each row one answer, with its own id"}
	for s, what := range map[sort]string{rubbish: "lines are no answers", unknown: "answers are for rows that were not asked", duplicate: "rows are answered twice"} {
		if n := y.log.count(s); n > 0 {
			c.Found = append(c.Found, fmt.Sprintf("%d %s", n, what))
		}
	}
	slices.Sort(c.Found)
	return c, nil
}

func (y *trying) stops() (Check, error) {
	c := Check{Claim: "ends when its input ends", Mend: "leave the reading loop at the end of standard input, end with exit status 0, and leave no thread behind"}
	child, is := y.link.(*child)
	if !is {
		c.Claim = "needs no end: a server"
		return c, nil
	}
	child.end(5 * time.Second)
	if child.state != nil {
		c.Found = append(c.Found, fmt.Sprintf("5 s after the end of its input, or before, it ended with %v", child.state))
	}
	return c, nil
}

var errNoTexts = errors.New("no text of the trial gives spans, so their unit could not be tried out; give texts that show the behaviour")

// borders asks again with pictographs before each text. Spans have to move by as
// many code points, and show the same slice.
func (y *trying) borders() (Check, error) {
	c := Check{Claim: "counts spans in characters: Unicode code points", Mend: "Python's own indices are right; in JavaScript count [...text.slice(0, i)].length, in Go and Rust count the runes or chars before the byte"}
	const ahead = "🌀🌀🌀 " // 4 code points, 7 UTF-16 units, 13 bytes
	var with, moved []detectors.Utterance
	var base []detectors.Result
	for i, r := range y.base {
		if len(r.Spans) > 0 {
			u := y.texts[i]
			with, base = append(with, u), append(base, r)
			moved = append(moved, utterance("What did you do today?", ahead+u.Text()))
		}
	}
	if len(with) == 0 {
		c.Minor, c.Found, c.Mend = true, []string{errNoTexts.Error()}, "give --text, a text that shows the behaviour"
		return c, nil
	}
	results, found, err := y.ask(moved)
	c.Found = found
	for i, r := range results {
		if len(r.Spans) != len(base[i].Spans) {
			continue // what stands before may change what is found
		}
		for k, s := range r.Spans {
			text, was := with[i].Text(), base[i].Spans[k]
			if s.Start != was.Start+len(ahead) || s.End != was.End+len(ahead) {
				c.Found = append(c.Found, fmt.Sprintf("in %s it points at %s, and with three pictographs before at %s", quote(text), quote(text[was.Start:was.End]), quote((ahead + text)[s.Start:s.End])))
				break
			}
		}
	}
	return c, err
}
