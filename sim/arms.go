package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// patchable are the keys that an arm may change. The others are what makes arms
// matched worlds, and what their results are compared by.
var patchable = []string{"about", "line", "lines", "interventions", "sources"}

// branch is a world before it is decoded.
type branch struct {
	*World
	tree *yaml.Node
}

// spread gives the worlds of a file: the control arm, the arms that it names
// (or one named "seeded" that is the file as it stands), and each of them once
// for every cell of the sweep.
func spread(name string, root *yaml.Node, fs *faults) []branch {
	arms, root := take(root, "arms")
	sweep, root := take(root, "sweep")
	d := newDecoder(name, fs)
	branches := []branch{{&World{Name: ControlArm, About: "nothing is seeded", Control: true, Baseline: ControlArm}, root}}
	if arms == nil {
		branches = append(branches, branch{&World{Name: MainArm, Baseline: ControlArm}, root})
	} else {
		d.pairs("arms", resolve(arms), func(arm string, k, patch *yaml.Node) {
			if err := slug(arm); err != nil {
				d.fault(join("arms", arm), k, "%v", err)
				return
			}
			w := &World{Name: arm, Baseline: ControlArm}
			tree := d.arm(w, root, resolve(patch))
			if arm == ControlArm {
				branches[0].tree = tree
				branches[0].About = "nothing is seeded"
				return
			}
			branches = append(branches, branch{w, tree})
		})
	}
	if sweep == nil {
		return branches
	}
	return d.sweep(branches, resolve(sweep))
}

// arm lays a patch over the tree of the file.
func (d *decoder) arm(w *World, root, patch *yaml.Node) *yaml.Node {
	path := join("arms", w.Name)
	if isNull(patch) {
		return root
	}
	d.pairs(path, patch, func(key string, k, v *yaml.Node) {
		if !slices.Contains(patchable, key) {
			d.fault(join(path, key), k, "an arm cannot change %q: arms are matched worlds; it may change %s", key, strings.Join(patchable, ", "))
		}
	})
	if about := get(patch, "about"); about != nil {
		w.About = strings.TrimSpace(about.Value)
	}
	_, rest := take(patch, "about")
	return merge(root, rest)
}

// axis is one path of a sweep with its values.
type axis struct {
	path   string
	values []*yaml.Node
}

func (d *decoder) sweep(branches []branch, sweep *yaml.Node) []branch {
	var axes []axis
	d.pairs("sweep", sweep, func(path string, k, list *yaml.Node) {
		first := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' })
		if len(first) == 0 || !slices.Contains(patchable, first[0]) {
			d.fault("sweep", k, "an axis begins with one of %s, not %q", strings.Join(patchable, ", "), path)
			return
		}
		if list = resolve(list); list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
			d.fault("sweep", list, "the axis %s needs a list of values", path)
			return
		}
		axes = append(axes, axis{path, list.Content})
	})
	out := branches
	for _, a := range axes {
		out = d.cross(out, a)
	}
	if len(out) > 2000 {
		d.fault("sweep", sweep, "makes %d worlds; at most 2000 are run from one file", len(out))
		return branches
	}
	settle(out)
	seen := map[string]bool{}
	for _, b := range out {
		if seen[b.Name] {
			d.fault("sweep", sweep, "makes two arms named %s; give every value of an axis once", b.Name)
		}
		seen[b.Name] = true
	}
	return out
}

// cross makes each branch once for every value of an axis. A branch in which
// the path does not exist (a control without the swept intervention) stays one.
func (d *decoder) cross(branches []branch, a axis) []branch {
	var out []branch
	met := false
	for _, b := range branches {
		for _, v := range a.values {
			tree, ok, err := set(b.tree, a.path, v, false)
			if err != nil || !ok {
				if err != nil {
					d.fault("sweep", v, "%v", err)
				}
				out = append(out, b)
				break
			}
			met = true
			w := *b.World
			w.Cell = maps.Clone(w.Cell)
			if w.Cell == nil {
				w.Cell = map[string]string{}
			}
			w.Cell[a.path] = inline(v)
			out = append(out, branch{&w, tree})
		}
	}
	if !met {
		d.fault("sweep", a.values[0], "the path %s exists in no arm; give the setting a value in the file that the sweep then replaces", a.path)
	}
	return out
}

// settle names the cells and finds the control that each is compared with: the
// one whose own cell agrees with it.
func settle(branches []branch) {
	for _, b := range branches {
		b.Name = cellName(b.World)
	}
	for _, b := range branches {
		for _, c := range branches {
			if c.Control && agrees(c.Cell, b.Cell) {
				b.Baseline = c.Name
			}
		}
	}
}

func agrees(part, whole map[string]string) bool {
	for path, v := range part {
		if whole[path] != v {
			return false
		}
	}
	return true
}

// cellName is the arm's name with the values of its cell: arm[dose=0.1,size=40].
// An axis goes by its last key where that tells it from the others.
func cellName(w *World) string {
	if len(w.Cell) == 0 {
		return w.Name
	}
	last := func(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
	uses := map[string]int{}
	for path := range w.Cell {
		uses[last(path)]++
	}
	var parts []string
	for _, path := range slices.Sorted(maps.Keys(w.Cell)) {
		key := last(path)
		if uses[key] > 1 {
			key = path
		}
		parts = append(parts, key+"="+w.Cell[path])
	}
	return fmt.Sprintf("%s[%s]", w.Name, strings.Join(parts, ","))
}

func inline(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	flow := *n
	flow.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&flow)
	if err != nil {
		return n.Value
	}
	return strings.TrimSpace(string(text))
}
