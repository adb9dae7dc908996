package aimodels_test

import (
	"testing"

	"github.com/sutazai/sutazai/services/aimodels"
)

func TestWhichSchemasStrictModeTakes(t *testing.T) {
	t.Parallel()
	const closed = `"additionalProperties":false`
	for schema, want := range map[string]bool{
		`{"type":"object","properties":{},` + closed + `}`:                                                                                             true,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],` + closed + `}`:                                                       true,
		`{"type":"object","properties":{"a":{"type":["object","null"],"properties":{},` + closed + `}},"required":["a"],` + closed + `}`:               true,
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/b"}},"required":["a"],` + closed + `,"$defs":{"b":{"type":"integer"}}}`:                   true,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"array","items":{"type":"integer"}},{"type":"null"}]}},"required":["a"],` + closed + `}`: true,
		``:                  false,
		`[]`:                false,
		`{}`:                false,
		`{"type":"string"}`: false,
		`{"type":"object"}`: false,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`:                                         false,
		`{"type":"object","properties":{"a":{"type":"string"}},` + closed + `}`:                                           false,
		`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"],` + closed + `}`:    false,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["b"],` + closed + `}`:                          false,
		`{"type":"object","properties":{"a":{"type":"object","properties":{}}},"required":["a"],` + closed + `}`:          false,
		`{"type":"object","properties":{"a":{"type":["object","null"]}},"required":["a"],` + closed + `}`:                 false,
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],` + closed + `}`: false,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"object"}]}},"required":["a"],` + closed + `}`:              false,
		`{"type":"object","properties":{"a":{"oneOf":[{"type":"string"}]}},"required":["a"],` + closed + `}`:              false,
		`{"type":"object","properties":{"a":true},"required":["a"],` + closed + `}`:                                       false,
		`{"type":"object","properties":{},` + closed + `,"$defs":{"b":{"type":"object"}}}`:                                false,
	} {
		if got := aimodels.FitsStrict([]byte(schema)); got != want {
			t.Errorf("%t for %s", got, schema)
		}
	}
}
