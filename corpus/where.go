package corpus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// matches tells whether the row holds what Where asks for.
func (d *decoder) matches() bool {
	all := true
	for key, want := range d.o.Where {
		if value := d.row.get(key); !equals(value, want) {
			d.unmatched.sawValue(key, value)
			all = false
		}
	}
	return all
}

// equals compares a value of a row with what an option asks for: a string by
// its text, a number by its value, anything else by its JSON.
func equals(value []byte, want string) bool {
	switch {
	case len(value) == 0:
		return false
	case value[0] == '"':
		text, _ := unquote(value)
		return text == want
	case string(value) == want:
		return true
	case value[0] == '-' || value[0] >= '0' && value[0] <= '9':
		a, errA := strconv.ParseFloat(string(value), 64)
		b, errB := strconv.ParseFloat(want, 64)
		return errA == nil && errB == nil && a == b
	}
	return false
}

// misses remembers a little of what did not match, for the error that nothing
// did.
type misses struct {
	values map[string][]string
	labels map[string]bool
}

const missesKept = 8

func (m *misses) sawValue(key string, value []byte) {
	if m.values == nil {
		m.values = make(map[string][]string)
	}
	seen := m.values[key]
	if len(value) > 0 && len(seen) < missesKept {
		if text := fmt.Sprintf("%.40s", value); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	m.values[key] = seen
}

func (m *misses) sawLabels(counts *object) {
	if m.labels == nil {
		m.labels = make(map[string]bool)
	}
	for _, c := range counts.members {
		if len(m.labels) < 4*missesKept {
			m.labels[c.key] = true
		}
	}
}

// nothing says why a file gave no document.
func (d *decoder) nothing(records int) error {
	if records == 0 {
		return errors.New("is empty; a corpus needs at least one document")
	}
	var why []string
	for _, key := range slices.Sorted(maps.Keys(d.unmatched.values)) {
		seen := d.unmatched.values[key]
		if len(seen) == 0 {
			why = append(why, fmt.Sprintf("no row has the key %q", key))
		} else {
			why = append(why, fmt.Sprintf("where asks for %s: %q, and rows hold %s", key, d.o.Where[key], strings.Join(seen, ", ")))
		}
	}
	switch known := slices.Sorted(maps.Keys(d.unmatched.labels)); {
	case d.o.Label != "" && len(known) == 0:
		why = append(why, `no row has "labels" with counts`)
	case d.o.Label != "" && !slices.Contains(known, d.o.Label):
		why = append(why, fmt.Sprintf("label %q is not counted; counted are %s", d.o.Label, strings.Join(known, ", ")))
	case d.o.Label != "":
		low, high := d.o.labelBounds()
		why = append(why, fmt.Sprintf("no turn has a count of %q within [%v, %v]", d.o.Label, low, high))
	case len(why) == 0:
		why = append(why, "no row has an assistant turn")
	}
	return fmt.Errorf("none of its %d rows gives a document: %s", records, strings.Join(why, "; "))
}
