package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with an experiment, and where.
type Fault struct {
	File         string
	Line, Column int    // 0 where the value came from an override
	Path         string // dotted, as --set takes it
	Message      string
}

func (f Fault) String() string {
	where := f.File
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", where, f.Message)
	}
	return fmt.Sprintf("%s: %s: %s", where, f.Path, f.Message)
}

// Invalid is an experiment with all its faults, in the order of its files.
type Invalid struct{ Faults []Fault }

func (e *Invalid) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// faults collects. A fault that several arms or lines have from one place in
// the file is told once.
type faults struct {
	list []Fault
	read []Fault // those of values that could not be read
}

func (f *faults) add(x Fault) {
	same := func(y Fault) bool {
		if x.Line > 0 {
			y.Path = x.Path
		}
		return x == y
	}
	if !slices.ContainsFunc(f.list, same) {
		f.list = append(f.list, x)
	}
}

// unread tells whether the value at a fault's path could not be read.
func (f *faults) unread(x Fault) bool {
	return slices.ContainsFunc(f.read, func(y Fault) bool { return x.Path == y.Path && x.Line == y.Line })
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Path, b.Path), strings.Compare(a.Message, b.Message))
	})
	return &Invalid{f.list}
}

// unknown words the answer to a name that is not known: the nearest one first.
func unknown(what, name string, known []string) string {
	if len(known) == 0 {
		return fmt.Sprintf("unknown %s %q; there is none here", what, name)
	}
	known = slices.Sorted(slices.Values(known))
	msg := fmt.Sprintf("unknown %s %q", what, name)
	best, at := len(name)/2+1, ""
	for _, k := range known {
		if d := distance(name, k); d < best {
			best, at = d, k
		}
	}
	if at != "" {
		msg += fmt.Sprintf("; did you mean %q?", at)
	} else {
		msg += "."
	}
	return msg + " Known: " + strings.Join(known, ", ")
}

// distance is the number of one-letter edits between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
