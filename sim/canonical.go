package sim

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// canonical is a value as JSON with sorted keys, named as the experiment file
// names them, so that renaming a Go field changes no identity.
func canonical(v any) []byte {
	data, err := json.Marshal(plain(reflect.ValueOf(v)))
	if err != nil {
		panic(fmt.Sprintf("sim: %T cannot be canonical: %v", v, err))
	}
	return data
}

// plain turns a configuration into maps, lists and scalars.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem())
	case reflect.Struct:
		m := map[string]any{}
		fields(v, func(name string, field reflect.Value) { m[name] = plain(field) })
		return m
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = plain(it.Value())
		}
		return m
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// fields goes over the fields with yaml tags, those of embedded structs
// included, that are part of an identity: the tag identity:"no" marks a setting
// that decides how fast an answer comes and never which.
func fields(v reflect.Value, each func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("identity") == "no" {
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			each(name, v.Field(i))
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			fields(v.Field(i), each)
		}
	}
}
