package config

import (
	"fmt"
	"reflect"
	"time"
)

// decoder fills the Config tree. Secrets get the environment that they are read from.
type decoder struct{ env *environ }

// decode fills a value of the Config tree from vetted nodes. What is not there keeps Go's zero value.
func (d decoder) decode(n *node, s *spec, into reflect.Value, path string) {
	if n == nil {
		return
	}
	switch s.kind {
	case kindSection:
		for _, f := range s.fields {
			d.decode(n.fields[f.key], f, into.Field(f.index), join(path, f.key))
		}
	case kindMap:
		m := reflect.MakeMapWithSize(into.Type(), len(n.fields))
		for key, child := range n.fields {
			entry := reflect.New(into.Type().Elem()).Elem()
			d.decode(child, s.elem, entry, join(path, key))
			m.SetMapIndex(reflect.ValueOf(key), entry)
		}
		into.Set(m)
	case kindList:
		list := reflect.MakeSlice(into.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			d.decode(item, s.elem, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		into.Set(list)
	default:
		d.decodeLeaf(n, s, into, path)
	}
}

func (d decoder) decodeLeaf(n *node, s *spec, into reflect.Value, path string) {
	value, problem := s.value(n)
	if problem != "" {
		return // reported by the vetter
	}
	switch v := value.(type) {
	case string:
		if s.kind == kindSecret {
			into.Set(reflect.ValueOf(leaf{path, s, n}.secret(d.env)))
			return
		}
		into.SetString(v)
	case bool:
		into.SetBool(v)
	case int64:
		into.SetInt(v)
	case float64:
		into.SetFloat(v)
	case time.Duration:
		into.SetInt(int64(v))
	}
}
