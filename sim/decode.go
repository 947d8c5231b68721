package sim

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills typed values from a YAML tree and collects every fault with its
// place, instead of stopping at the first. Unknown and repeated keys are
// faults. A field takes part when it has a yaml tag; the tag `doc` explains it
// in the schema.
type decoder struct {
	file   string
	faults *faults
	places map[string]place // by path, for what is checked after decoding
	taken  []string         // keys of the root that were read before, and are known all the same
}

type place struct{ line, column int }

func newDecoder(file string, f *faults) *decoder {
	return &decoder{file: file, faults: f, places: map[string]place{}}
}

func (d *decoder) fault(path string, n *yaml.Node, format string, args ...any) {
	f := Fault{File: d.file, Path: path, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		f.Line, f.Column = n.Line, n.Column
	}
	d.faults.read = append(d.faults.read, f)
	d.faults.add(f)
}

// at adds a fault to the place of a path, or of the nearest one around it. A
// value that could not be read has had its fault already.
func (d *decoder) at(path, format string, args ...any) {
	f := Fault{File: d.file, Path: path, Message: fmt.Sprintf(format, args...)}
	for around := path; ; {
		if p, ok := d.places[around]; ok {
			f.Line, f.Column = p.line, p.column
			break
		}
		i := strings.LastIndexAny(around, ".[")
		if i < 0 {
			break
		}
		around = around[:i]
	}
	if !d.faults.unread(f) {
		d.faults.add(f)
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// into decodes a node into one or several structs that share its keys, or into
// a single value of any other type.
func (d *decoder) into(path string, n *yaml.Node, targets ...any) {
	values := make([]reflect.Value, len(targets))
	for i, t := range targets {
		values[i] = reflect.ValueOf(t).Elem()
	}
	if len(values) == 1 {
		d.value(path, n, values[0])
		return
	}
	d.structs(path, resolve(n), values)
}

// fromNode is met by types whose place in the file has more than one form.
type fromNode interface {
	decode(d *decoder, path string, n *yaml.Node)
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	n = resolve(n)
	d.places[path] = place{n.Line, n.Column}
	if v.CanAddr() {
		if special, ok := v.Addr().Interface().(fromNode); ok {
			special.decode(d, path, n)
			return
		}
	}
	switch {
	case isNull(n):
		switch v.Kind() {
		case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
			d.fault(path, n, "needs a value")
		}
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(path, n, p.Elem())
		v.Set(p)
	case v.Kind() == reflect.Struct:
		d.structs(path, n, []reflect.Value{v})
	case v.Kind() == reflect.Map:
		d.mapping(path, n, v)
	case v.Kind() == reflect.Slice:
		d.sequence(path, n, v)
	case v.Kind() == reflect.Interface:
		if free := d.free(path, n); free != nil {
			v.Set(reflect.ValueOf(free))
		}
	default:
		d.scalar(path, n, v)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func (d *decoder) structs(path string, n *yaml.Node, targets []reflect.Value) {
	d.places[path] = place{n.Line, n.Column}
	if isNull(n) {
		return
	}
	fields := map[string]reflect.Value{}
	var known []string
	for _, t := range targets {
		settable(t, func(name string, field reflect.Value) {
			fields[name] = field
			known = append(known, name)
		})
	}
	d.pairs(path, n, func(key string, k, value *yaml.Node) {
		field, ok := fields[key]
		if !ok {
			if path == "" {
				known = append(known, d.taken...)
			}
			d.fault(join(path, key), k, "%s", unknown("key", key, known))
			return
		}
		d.value(join(path, key), value, field)
	})
}

// settable goes over the fields with yaml tags, those of embedded structs included.
func settable(t reflect.Value, each func(name string, field reflect.Value)) {
	for i := range t.NumField() {
		f := t.Type().Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			each(name, t.Field(i))
		} else if name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct {
			settable(t.Field(i), each)
		}
	}
}

// pairs goes over the keys of a mapping in the order of the file.
func (d *decoder) pairs(path string, n *yaml.Node, each func(key string, k, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fault(path, n, "needs a mapping of keys to values, not a %s", kindName(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			d.fault(path, k, "a key has to be a plain word")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			d.fault(join(path, k.Value), k, "is given twice; first in line %d", line)
			continue
		}
		seen[k.Value] = k.Line
		each(k.Value, k, value)
	}
}

func (d *decoder) mapping(path string, n *yaml.Node, v reflect.Value) {
	m := reflect.MakeMap(v.Type())
	d.pairs(path, n, func(key string, k, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(join(path, key), value, item)
		m.SetMapIndex(reflect.ValueOf(key), item)
	})
	v.Set(m)
}

func (d *decoder) sequence(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(path, n, "needs a list, not a %s", kindName(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if isNull(resolve(item)) && v.Type().Elem().Kind() != reflect.String {
			d.fault(fmt.Sprintf("%s[%d]", path, i), item, "is empty; remove the item or fill it in")
			list = list.Slice(0, 0)
			break
		}
		d.value(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i))
	}
	v.Set(list)
}

func (d *decoder) scalar(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.fault(path, n, "needs a single value, not a %s", kindName(n))
		return
	}
	bad := func(what string) { d.fault(path, n, "needs %s, not %q", what, n.Value) }
	switch v.Kind() {
	case reflect.String:
		if n.Tag != "!!str" && !slices.Contains([]string{"!!int", "!!float", "!!bool"}, n.Tag) {
			bad("text")
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if err != nil || n.Tag != "!!bool" {
			bad("true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
		if err != nil {
			bad("a whole number")
			return
		}
		v.SetInt(i)
	case reflect.Uint64:
		i, err := strconv.ParseUint(strings.ReplaceAll(n.Value, "_", ""), 10, 64)
		if err != nil {
			bad("a whole number of at least 0")
			return
		}
		v.SetUint(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			bad("a finite number")
			return
		}
		v.SetFloat(f)
	default:
		panic("sim: the decoder has no rule for " + v.Type().String())
	}
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return fmt.Sprintf("single value (%q)", n.Value)
}

// take removes a key from a copy of a mapping and gives its value.
func take(n *yaml.Node, key string) (value, rest *yaml.Node) {
	rest = &yaml.Node{Kind: n.Kind, Tag: n.Tag, Line: n.Line, Column: n.Column}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key && value == nil {
			value = n.Content[i+1]
			continue
		}
		rest.Content = append(rest.Content, n.Content[i], n.Content[i+1])
	}
	return value, rest
}
