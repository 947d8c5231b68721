package protocol

import (
	"fmt"
	"sync"
)

// journal tells what goes wrong without being an error. Of each sort it tells
// the first few, and then only every tenfold: a detector that complains about
// every row must not bury everything else.
type journal struct {
	who   string
	mu    sync.Mutex
	tell  func(format string, args ...any)
	times map[sort]int
}

// sort is a sort of trouble.
type sort int

const (
	rubbish   sort = iota // a line that is no answer
	unknown               // an answer to what was not asked
	duplicate             // a second answer
	partial               // an answer of which something was left out
	fault                 // a row that was not judged
	restart
	standardError
)

// most times that a sort is told in full.
var tellings = map[sort]int{rubbish: 3, unknown: 3, duplicate: 3, partial: 3, fault: 10, restart: 10, standardError: 50}

func (j *journal) say(s sort, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.times == nil {
		j.times = map[sort]int{}
	}
	j.times[s]++
	n := j.times[s]
	if j.tell == nil || n > tellings[s] && !tenfold(n) {
		return
	}
	text := fmt.Sprintf(format, args...)
	switch {
	case n == tellings[s]:
		text += " (more of this sort are told of only now and then)"
	case n > tellings[s]:
		text += fmt.Sprintf(" (number %d of this sort)", n)
	}
	j.tell("%s%s", j.who, text)
}

// note tells something in any case.
func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.tell != nil {
		j.tell("%s%s", j.who, fmt.Sprintf(format, args...))
	}
}

func tenfold(n int) bool {
	for n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// count is how often a sort of trouble has come up.
func (j *journal) count(s sort) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.times[s]
}
