package sim

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An experiment is patched as a tree, before it is decoded: by --set, by an
// arm, by a cell of a sweep. One mechanism serves all three.

// merge lays a patch over a tree: mappings merge key by key, the lists under
// the key `interventions` are joined, everything else is replaced, by nothing
// where the patch says null. Neither
// argument is changed.
func merge(base, patch *yaml.Node) *yaml.Node { return mergeKey("", base, patch) }

func mergeKey(key string, base, patch *yaml.Node) *yaml.Node {
	base, patch = resolve(base), resolve(patch)
	if base == nil || isNull(base) {
		return patch
	}
	if patch == nil {
		return base
	}
	if base.Kind != patch.Kind || base.Kind == yaml.ScalarNode {
		return patch
	}
	if base.Kind == yaml.SequenceNode {
		if key != "interventions" {
			return patch
		}
		joined := *base
		joined.Content = append(append([]*yaml.Node(nil), base.Content...), patch.Content...)
		return &joined
	}
	out := *base
	out.Content = append([]*yaml.Node(nil), base.Content...)
	for i := 0; i+1 < len(patch.Content); i += 2 {
		k, v := patch.Content[i], patch.Content[i+1]
		if at := find(&out, k.Value); at >= 0 {
			out.Content[at] = mergeKey(k.Value, out.Content[at], v)
		} else {
			out.Content = append(out.Content, k, v)
		}
	}
	return &out
}

// find gives the index of the value of a key in a mapping, or -1.
func find(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i + 1
		}
	}
	return -1
}

func get(n *yaml.Node, key string) *yaml.Node {
	if n = resolve(n); n != nil && n.Kind == yaml.MappingNode {
		if at := find(n, key); at >= 0 {
			return resolve(n.Content[at])
		}
	}
	return nil
}

// set gives a copy of the tree with the value at a path replaced. A path is
// keys with dots between them, and list items as [2] or [name], the latter
// being the item whose `name` is so. With create, keys that are absent on the
// way are made; without, ok is false when the path does not exist.
func set(n *yaml.Node, path string, value *yaml.Node, create bool) (_ *yaml.Node, ok bool, err error) {
	steps, err := split(path)
	if err != nil {
		return nil, false, err
	}
	out, ok := setSteps(resolve(n), steps, value, create)
	return out, ok, nil
}

type step struct {
	key  string
	item bool // [key]
}

func split(path string) ([]step, error) {
	var steps []step
	rest := path
	for rest != "" {
		if strings.HasPrefix(rest, "[") {
			end := strings.IndexByte(rest, ']')
			if end < 2 {
				return nil, fmt.Errorf("%q is not a path: [ needs an index or a name and ]", path)
			}
			steps = append(steps, step{rest[1:end], true})
			rest = strings.TrimPrefix(rest[end+1:], ".")
			continue
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return nil, fmt.Errorf("%q is not a path: a key is missing; write it as a.b[0].c", path)
		}
		steps = append(steps, step{rest[:end], false})
		rest = strings.TrimPrefix(rest[end:], ".")
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("the path is empty; write it as a.b[0].c")
	}
	return steps, nil
}

func setSteps(n *yaml.Node, steps []step, value *yaml.Node, create bool) (*yaml.Node, bool) {
	if len(steps) == 0 {
		return value, true
	}
	s, was := steps[0], n
	if n == nil || isNull(n) {
		if !create || s.item {
			return was, false
		}
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	at := -1
	switch {
	case s.item && n.Kind == yaml.SequenceNode:
		at = itemAt(n, s.key)
	case !s.item && n.Kind == yaml.MappingNode:
		at = find(n, s.key)
		if at < 0 && create {
			grown := *n
			grown.Content = append(append([]*yaml.Node(nil), n.Content...),
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.key}, nil)
			n, at = &grown, len(grown.Content)-1
		}
	}
	if at < 0 {
		return n, false
	}
	child, ok := setSteps(resolve(n.Content[at]), steps[1:], value, create)
	if !ok {
		return was, false
	}
	out := *n
	out.Content = append([]*yaml.Node(nil), n.Content...)
	out.Content[at] = child
	return &out, true
}

func itemAt(n *yaml.Node, key string) int {
	if i, err := strconv.Atoi(key); err == nil {
		if i >= 0 && i < len(n.Content) {
			return i
		}
		return -1
	}
	for i, item := range n.Content {
		if name := get(item, "name"); name != nil && name.Value == key {
			return i
		}
	}
	return -1
}

// Override is one --set: a path and a value in YAML.
type Override struct{ Path, Value string }

// ParseOverride splits "a.b=c".
func ParseOverride(s string) (Override, error) {
	path, value, ok := strings.Cut(s, "=")
	if !ok || path == "" {
		return Override{}, fmt.Errorf("%q is not an override; write it as path=value, such as line.corpus.size=200", s)
	}
	return Override{path, value}, nil
}

func (o Override) node() (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(o.Value), &doc); err != nil {
		return nil, fmt.Errorf("the value %q is not YAML: %w", o.Value, err)
	}
	if len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	}
	budget := maxValues
	v, err := expand(doc.Content[0], nil, &budget)
	if err != nil {
		return nil, err
	}
	unplace(v)
	return v, nil
}

// on gives the tree with the override laid over it.
func (o Override) on(tree *yaml.Node) (*yaml.Node, error) {
	v, err := o.node()
	if err != nil {
		return nil, err
	}
	patched, ok, err := set(tree, o.Path, v, true)
	if err == nil && !ok {
		err = fmt.Errorf("there is no such list item")
	}
	return patched, err
}

func unplace(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	for _, c := range n.Content {
		unplace(c)
	}
}
