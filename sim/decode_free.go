package sim

import (
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// free reads a value that somebody else gives a meaning to, such as the config
// of a detector that is a program of its own: maps, lists, texts, numbers,
// truth values and null, as JSON has them.
func (d *decoder) free(path string, n *yaml.Node) any {
	n = resolve(n)
	d.places[path] = place{n.Line, n.Column}
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		d.pairs(path, n, func(key string, _, value *yaml.Node) { m[key] = d.free(join(path, key), value) })
		return m
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.free(path+"["+strconv.Itoa(i)+"]", item)
		}
		return list
	case n.Tag == "!!bool":
		return readInto[bool](d, path, n)
	case n.Tag == "!!int" || strings.Trim(n.Value, "+-_0123456789") == "" && n.Tag == "!!float":
		// Numbers beyond this are not exact in every language that reads JSON.
		const exact = 1 << 53
		i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 0, 64)
		if err != nil || i > exact || i < -exact {
			d.fault(path, n, "needs a whole number within ±2^53, not %q; write it in quotes as text", n.Value)
		}
		return i
	case n.Tag == "!!float":
		f := readInto[float64](d, path, n)
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f) // 1.0 and 1 are the same in JSON
		}
		return f
	}
	return n.Value
}

func readInto[T any](d *decoder, path string, n *yaml.Node) (v T) {
	d.scalar(path, n, reflect.ValueOf(&v).Elem())
	return v
}
