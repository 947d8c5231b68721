package corpus

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// column is a node of a Parquet schema, prepared for turning the values of a row
// back into JSON by their levels (Melnik et al. 2010, "Dremel", section 4.3).
type column struct {
	name               string
	optional, repeated bool
	def, rep           int // definition and repetition level of a value that is there
	first, leaves      int // the leaf columns below it
	children           []column
	leaf               func([]byte, parquet.Value) ([]byte, error) // nil for a group
	json               bool                                        // a leaf that holds JSON text
}

// newColumn prepares n, which lies within the given levels; next is its first
// leaf column, and moves beyond its last. The repetition of a root means nothing.
func newColumn(n parquet.Node, root bool, def, rep int, next *int) (*column, error) {
	c := &column{optional: !root && n.Optional(), repeated: !root && n.Repeated(), def: def, rep: rep, first: *next}
	if c.optional || c.repeated {
		c.def++
	}
	if c.repeated {
		c.rep++
	}
	if n.Leaf() {
		*next++
		c.leaves = 1
		if logical := n.Type().LogicalType(); logical != nil {
			_, c.json = logical.Value.(*format.JsonType)
		}
		c.leaf = leafEncoder(n.Type())
		return c, nil
	}
	for _, f := range n.Fields() {
		child, err := newColumn(f, false, c.def, c.rep, next)
		if err != nil {
			return nil, err
		}
		child.name = f.Name()
		c.children = append(c.children, *child)
	}
	c.leaves = *next - c.first
	if c.leaves == 0 {
		return nil, errors.New("a group of its schema has no columns")
	}
	return c, nil
}

var errLevels = errors.New("the values of the row do not fit the schema")

// absent tells whether the next value of c is null, or an empty list.
func (c *column) absent(row [][]parquet.Value) bool {
	return len(row[c.first]) > 0 && row[c.first][0].DefinitionLevel() < c.def
}

func (c *column) skip(row [][]parquet.Value) {
	for i := c.first; i < c.first+c.leaves; i++ {
		if len(row[i]) > 0 {
			row[i] = row[i][1:]
		}
	}
}

// append takes the next value of c off the row and writes it as JSON.
func (c *column) append(out []byte, row [][]parquet.Value) ([]byte, error) {
	if c.repeated {
		return c.list(out, row, c.present)
	}
	if c.absent(row) {
		c.skip(row)
		return append(out, "null"...), nil
	}
	return c.present(out, row)
}

func (c *column) present(out []byte, row [][]parquet.Value) ([]byte, error) {
	if c.leaf != nil {
		if len(row[c.first]) == 0 {
			return out, errLevels
		}
		v := row[c.first][0]
		row[c.first] = row[c.first][1:]
		return c.leaf(out, v)
	}
	if len(c.children) == 1 && c.children[0].repeated {
		return c.wrapped(out, row)
	}
	out = append(out, '{')
	comma := false
	for i := range c.children {
		child := &c.children[i]
		if child.absent(row) && !child.repeated {
			child.skip(row)
			continue
		}
		if comma {
			out = append(out, ',')
		}
		comma = true
		var err error
		if out, err = child.append(append(appendString(out, child.name), ':'), row); err != nil {
			return out, fmt.Errorf("%s: %w", child.name, err)
		}
	}
	return append(out, '}'), nil
}

// wrapped writes a group around one repeated child: a list, whose elements
// stand in a group of their own or, as older writers have it, do not; or a map.
func (c *column) wrapped(out []byte, row [][]parquet.Value) ([]byte, error) {
	items := &c.children[0]
	switch {
	case len(items.children) == 1 && items.name != "array":
		return items.list(out, row, items.children[0].append)
	case len(items.children) == 2 && items.children[0].name == "key" && items.children[1].name == "value":
		return c.entries(out, row)
	}
	return items.list(out, row, items.present)
}

// entries writes a map as an object. Keys that are not strings are put in
// quotes.
func (c *column) entries(out []byte, row [][]parquet.Value) ([]byte, error) {
	items := &c.children[0]
	open := len(out)
	out, err := items.list(out, row, func(out []byte, row [][]parquet.Value) ([]byte, error) {
		start := len(out)
		out, err := items.children[0].append(out, row)
		if err == nil && out[start] != '"' {
			out = appendString(out[:start], string(out[start:]))
		}
		if err == nil {
			out, err = items.children[1].append(append(out, ':'), row)
		}
		return out, err
	})
	if err == nil {
		out[open], out[len(out)-1] = '{', '}'
	}
	return out, err
}

// list writes the elements of c, which repeats, through element.
func (c *column) list(out []byte, row [][]parquet.Value, element func([]byte, [][]parquet.Value) ([]byte, error)) ([]byte, error) {
	if c.absent(row) {
		c.skip(row)
		return append(out, "[]"...), nil
	}
	out = append(out, '[')
	for {
		before := len(row[c.first])
		var err error
		if out, err = element(out, row); err != nil {
			return out, err
		}
		if left := row[c.first]; len(left) == 0 || left[0].RepetitionLevel() != c.rep {
			return append(out, ']'), nil
		} else if len(left) == before {
			return out, errLevels
		}
		out = append(out, ',')
	}
}
