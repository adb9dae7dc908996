package backend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sutazai/sutazai/core"
)

// The reference page is plain HTML made from the description at start: it needs no script, no network and no change to
// the Content-Security-Policy.

type docPage struct {
	Title, Version, Nonce string
	Tags                  []docTag
	Schemas               []docSchema
	Codes                 []docCode
}

type docTag struct {
	Name  string
	Calls []docCall
}

type docCall struct {
	ID, Method, Path, Summary, Description string
	Params                                 []docField
	Body                                   template.HTML
	Answers                                []docAnswer
}

type docAnswer struct {
	Status, Description string
	Type                template.HTML
}

type docField struct {
	Name, In, Doc string
	Type          template.HTML
	Required      bool
}

type docSchema struct {
	Name   string
	Fields []docField
}

type docCode struct {
	Code   core.Code
	Status int
	Title  string
}

func (s *server) docRoutes() error {
	spec, err := specJSON(s.api.OpenAPI())
	if err != nil {
		return fmt.Errorf("encode the OpenAPI description: %w", err)
	}
	s.router.HandleFunc("GET /api/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(spec)
	})
	tmpl, err := template.New("docs").Parse(docTemplate)
	if err != nil {
		return fmt.Errorf("parse the reference page: %w", err)
	}
	page := docsOf(s.api.OpenAPI())
	s.router.HandleFunc("GET /api/docs", func(w http.ResponseWriter, r *http.Request) {
		p := page
		p.Nonce = Nonce(r)
		var b bytes.Buffer
		if err := tmpl.Execute(&b, p); err != nil {
			s.problem(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store") // the nonce is this response's
		_, _ = w.Write(b.Bytes())
	})
	return nil
}

// specJSON writes the description as the server behaves: in a body, null stands for a field that is left out.
func specJSON(api *huma.OpenAPI) ([]byte, error) {
	b, err := json.Marshal(api)
	if err != nil {
		return nil, err
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	components, _ := doc["components"].(map[string]any)
	schemas, _ := components["schemas"].(map[string]any)
	for _, item := range api.Paths {
		if item.Post == nil || item.Post.RequestBody == nil {
			continue
		}
		ref := item.Post.RequestBody.Content["application/json"].Schema.Ref
		allowNull(schemas, ref)
	}
	return json.Marshal(doc)
}

// allowNull lets the optional properties of the schema that ref names, and of those it refers to, be null.
func allowNull(schemas map[string]any, ref string) {
	object, _ := schemas[ref[strings.LastIndex(ref, "/")+1:]].(map[string]any)
	required, _ := object["required"].([]any)
	properties, _ := object["properties"].(map[string]any)
	for name, v := range properties {
		p, ok := v.(map[string]any)
		if !ok || slices.Contains(required, any(name)) {
			continue
		}
		if inner, ok := p["$ref"].(string); ok {
			allowNull(schemas, inner)
		}
		if kind, ok := p["type"].(string); ok && p["enum"] == nil {
			p["type"] = []string{kind, "null"}
		} else if len(p) > 0 { // an empty schema takes null already
			properties[name] = map[string]any{"anyOf": []any{p, map[string]any{"type": "null"}}}
		}
	}
}

func docsOf(api *huma.OpenAPI) docPage {
	p := docPage{Title: api.Info.Title, Version: api.Info.Version}
	byTag := map[string][]docCall{}
	for _, path := range slices.Sorted(maps.Keys(api.Paths)) {
		item := api.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				byTag[op.Tags[0]] = append(byTag[op.Tags[0]], docOfCall(op))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byTag)) {
		p.Tags = append(p.Tags, docTag{name, byTag[name]})
	}
	schemas := api.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		p.Schemas = append(p.Schemas, docSchema{name, fieldsOf(schemas[name])})
	}
	codes := statuses()
	for _, c := range slices.Sorted(maps.Keys(codes)) {
		p.Codes = append(p.Codes, docCode{c, codes[c].code, codes[c].title})
	}
	return p
}

func docOfCall(op *huma.Operation) docCall {
	c := docCall{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description}
	for _, prm := range op.Parameters {
		c.Params = append(c.Params, docField{Name: prm.Name, In: prm.In, Doc: docOf(prm.Schema), Type: typeOf(prm.Schema), Required: prm.Required})
	}
	if op.RequestBody != nil {
		if m := op.RequestBody.Content["application/json"]; m != nil {
			c.Body = typeOf(m.Schema)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		a := docAnswer{Status: status, Description: r.Description}
		for _, m := range r.Content {
			a.Type = typeOf(m.Schema)
		}
		c.Answers = append(c.Answers, a)
	}
	return c
}

func fieldsOf(sc *huma.Schema) []docField {
	var out []docField
	for _, name := range slices.Sorted(maps.Keys(sc.Properties)) {
		p := sc.Properties[name]
		out = append(out, docField{Name: name, Doc: docOf(p), Type: typeOf(p), Required: slices.Contains(sc.Required, name)})
	}
	return out
}

func docOf(sc *huma.Schema) string {
	if sc == nil {
		return ""
	}
	return sc.Description
}

// typeOf writes a type in a few words, with a link where it has a name.
func typeOf(sc *huma.Schema) template.HTML {
	esc := template.HTMLEscapeString
	switch {
	case sc == nil:
		return ""
	case sc.Ref != "":
		name := esc(sc.Ref[strings.LastIndex(sc.Ref, "/")+1:])
		return template.HTML(fmt.Sprintf(`<a href="#schema-%s">%s</a>`, name, name)) //nolint:gosec // escaped above
	case len(sc.AnyOf) > 0:
		var parts []string
		for _, a := range sc.AnyOf {
			parts = append(parts, string(typeOf(a)))
		}
		return template.HTML(strings.Join(parts, " or ")) //nolint:gosec // made of escaped parts
	case sc.Type == huma.TypeArray:
		return "list of " + typeOf(sc.Items)
	case len(sc.Enum) > 0:
		var parts []string
		for _, e := range sc.Enum {
			parts = append(parts, esc(fmt.Sprint(e)))
		}
		return template.HTML(strings.Join(parts, " | ")) //nolint:gosec // escaped above
	}
	text := sc.Type
	if text == "" {
		text = "any JSON"
	}
	if sc.Format != "" {
		text += " (" + sc.Format + ")"
	}
	if sc.Nullable {
		text += " or null"
	}
	return template.HTML(esc(text)) //nolint:gosec // escaped
}

const docTemplate = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} API</title>
<style nonce="{{.Nonce}}">
:root{color-scheme:light dark;--line:light-dark(#d9dde3,#32363d);--soft:light-dark(#f5f6f8,#1b1e23);--accent:light-dark(#0b5bd3,#7db2ff)}
body{font:14px/1.5 system-ui,sans-serif;margin:0 auto;padding:24px;max-width:960px}
a{color:var(--accent)} h1{font-size:24px} h2{font-size:18px;margin-top:32px;border-bottom:1px solid var(--line)}
section{border:1px solid var(--line);border-radius:6px;padding:8px 16px;margin:12px 0}
h3{font:600 14px ui-monospace,monospace;margin:8px 0;overflow-wrap:anywhere} code,td:first-child{font-family:ui-monospace,monospace}
table{border-collapse:collapse;width:100%} th,td{text-align:left;vertical-align:top;padding:4px 8px;border-top:1px solid var(--line);overflow-wrap:anywhere}
th{background:var(--soft);font-weight:600} p{white-space:pre-line;margin:8px 0} .scroll{overflow-x:auto}
</style></head><body><main>
<h1>{{.Title}} API</h1>
<p>Version {{.Version}}. The description for programs: <a href="/api/openapi.json">/api/openapi.json</a>. Send an API key as <code>Authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>.
<a href="#schemas">Types</a> · <a href="#errors">Errors</a>{{range .Tags}} · <a href="#tag-{{.Name}}">{{.Name}}</a>{{end}}</p>
{{range .Tags}}<h2 id="tag-{{.Name}}">{{.Name}}</h2>
{{range .Calls}}<section id="{{.ID}}"><h3>{{.Method}} {{.Path}}</h3><p><strong>{{.Summary}}.</strong> {{.Description}}</p>
{{if .Params}}<div class="scroll"><table><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr>{{range .Params}}<tr><td>{{.Name}}{{if .Required}} *{{end}}</td><td>{{.In}}</td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>{{end}}</table></div>{{end}}
{{if .Body}}<p>Body: {{.Body}}</p>{{end}}
<div class="scroll"><table><tr><th>Answer</th><th>Type</th><th>Meaning</th></tr>{{range .Answers}}<tr><td>{{.Status}}</td><td>{{.Type}}</td><td>{{.Description}}</td></tr>{{end}}</table></div></section>
{{end}}{{end}}
<h2 id="schemas">Types</h2>
{{range .Schemas}}<section id="schema-{{.Name}}"><h3>{{.Name}}</h3><div class="scroll"><table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>{{range .Fields}}<tr><td>{{.Name}}{{if .Required}} *{{end}}</td><td>{{.Type}}</td><td>{{.Doc}}</td></tr>{{end}}</table></div></section>
{{end}}
<h2 id="errors">Errors</h2>
<div class="scroll"><table><tr><th>Code</th><th>Status</th><th>Meaning</th></tr>{{range .Codes}}<tr id="error-{{.Code}}"><td>{{.Code}}</td><td>{{.Status}}</td><td>{{.Title}}</td></tr>{{end}}</table></div>
<p>* always there, or needed.</p>
</main></body></html>
`
