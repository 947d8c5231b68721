package sim

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// Schema is the JSON Schema (draft 2020-12) of the experiment file, with every
// backend, detector and intervention that is in this binary. It is made from
// the types that the decoder fills, so the two cannot drift apart.
func Schema() []byte {
	b := &schema{defs: map[string]any{}}
	root := b.object(reflect.TypeFor[Experiment]())
	properties := root["properties"].(map[string]any)
	line := b.object(reflect.TypeFor[Line]())
	b.defs["line"] = line
	lineRef := map[string]any{"$ref": "#/$defs/line"}
	properties["line"] = described(lineRef, "what all lines have in common")
	properties["lines"] = described(map[string]any{
		"type": "object", "minProperties": 1,
		"additionalProperties": map[string]any{"anyOf": []any{lineRef, map[string]any{"type": "null"}}},
	}, "families of models; each is laid over line")
	patch := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{
		"about": map[string]any{"type": "string", "description": "what the arm does, for the report"},
		"line":  lineRef, "lines": properties["lines"],
		"interventions": properties["interventions"], "sources": properties["sources"],
	}}
	properties["arms"] = described(map[string]any{
		"type": "object", "additionalProperties": map[string]any{"anyOf": []any{patch, map[string]any{"type": "null"}}},
	}, "named patches of the experiment; mappings merge, interventions are joined, everything else is replaced; the control arm exists by itself")
	properties["sweep"] = described(map[string]any{
		"type": "object", "additionalProperties": map[string]any{"type": "array", "minItems": 1},
	}, "paths, each with the values that it takes; every arm is run once for every combination")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "heirloom experiment"
	root["$defs"] = b.defs
	root["required"] = []string{"heirloom", "name", "behaviours", "lines"}
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("sim: schema: " + err.Error())
	}
	return append(data, '\n')
}

type schema struct{ defs map[string]any }

func described(s map[string]any, doc string) map[string]any {
	out := map[string]any{}
	for k, v := range s {
		out[k] = v
	}
	if doc != "" {
		out["description"] = doc
	}
	return out
}

// object is the schema of the keys of one or several structs.
func (b *schema) object(types ...reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, t := range types {
		b.fields(t, properties)
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func (b *schema) fields(t reflect.Type, properties map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" && f.Anonymous && f.Type.Kind() == reflect.Struct {
			b.fields(f.Type, properties)
		} else if name != "" && name != "-" {
			properties[name] = described(b.of(f.Type), f.Tag.Get("doc"))
		}
	}
}

func (b *schema) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[*BackendSpec]():
		return b.union("backend", backendChoices())
	case reflect.TypeFor[*DetectorSpec]():
		return b.union("detector", detectorChoices())
	case reflect.TypeFor[*Intervention]():
		return b.interventions()
	case reflect.TypeFor[*Slot](), reflect.TypeFor[Template]():
		return map[string]any{"type": []string{"array", "object"}}
	case reflect.TypeFor[Window]():
		return map[string]any{"anyOf": []any{map[string]any{"type": "integer", "minimum": 1}, map[string]any{"const": "all"}}}
	case reflect.TypeFor[*Ancestor](), reflect.TypeFor[*Teacher](), reflect.TypeFor[*Foundation]():
		return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, b.object(t.Elem())}}
	case reflect.TypeFor[Foundation]():
		return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, b.object(t)}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.of(t.Elem())
	case reflect.Struct:
		return b.object(t)
	case reflect.Map:
		values := []any{b.of(t.Elem()), map[string]any{"type": "null"}}
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"anyOf": values}}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": b.of(t.Elem())}
	case reflect.Interface:
		return map[string]any{}
	case reflect.String:
		return map[string]any{"type": []string{"string", "number", "boolean", "null"}}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "integer"}
}

// choice is one kind of a registered thing.
type choice struct {
	name, about string
	config      reflect.Type
}

func backendChoices() (all []choice) {
	for _, k := range lineage.Kinds() {
		all = append(all, choice{k.Name, k.About, reflect.TypeOf(k.Config()).Elem()})
	}
	return all
}

func detectorChoices() (all []choice) {
	for _, k := range detectors.Kinds() {
		all = append(all, choice{k.Name, k.About, reflect.TypeOf(k.Config()).Elem()})
	}
	return all
}

// union is the schema of `name`, or of `{kind: name, setting: …}`.
func (b *schema) union(what string, choices []choice, shared ...reflect.Type) map[string]any {
	if _, made := b.defs[what]; !made {
		var names, each []any
		for _, c := range choices {
			names = append(names, c.name)
			o := b.object(append(slices.Clone(shared), c.config)...)
			o["properties"].(map[string]any)["kind"] = map[string]any{"const": c.name, "description": c.about}
			o["required"] = []string{"kind"}
			each = append(each, o)
		}
		b.defs[what] = map[string]any{"anyOf": append([]any{map[string]any{"enum": names}}, each...)}
	}
	return map[string]any{"$ref": "#/$defs/" + what}
}

func (b *schema) interventions() map[string]any {
	var all []choice
	for _, k := range InterventionKinds() {
		all = append(all, choice{k.Name, k.About, reflect.TypeOf(k.New()).Elem()})
	}
	return b.union("intervention", all, reflect.TypeFor[envelope]())
}
