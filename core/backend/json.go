package backend

import (
	"encoding/json"
	"io"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

// maxDepth bounds how deep a JSON body may be nested: decoding deeper ones costs stack and memory for nothing.
const maxDepth = 100

// CheckDepth refuses JSON that is nested deeper than anything this server understands. It does not check the syntax.
func CheckDepth(b []byte) error {
	if schema.DeeperThan(b, maxDepth) {
		return core.Errorf(core.CodeInvalid, "the JSON is nested deeper than %d levels", maxDepth)
	}
	return nil
}

func jsonFormat() huma.Format {
	return huma.Format{
		Marshal: func(w io.Writer, v any) error {
			enc := json.NewEncoder(w)
			enc.SetEscapeHTML(false)
			return enc.Encode(v)
		},
		Unmarshal: func(b []byte, v any) error {
			if err := CheckDepth(b); err != nil {
				return err
			}
			return json.Unmarshal(b, v)
		},
	}
}
