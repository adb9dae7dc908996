package config

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write schema.json anew")

func TestTheCheckedInSchemaIsCurrent(t *testing.T) {
	t.Parallel()
	want, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("schema.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("schema.json is not what Schema() makes (%v); run: go test ./config -run CheckedInSchema -update", err)
	}
}

func TestEverySettingIsInTheSharedFileAndDescribed(t *testing.T) {
	t.Parallel()
	content, err := layerFiles.ReadFile(sharedFile)
	if err != nil {
		t.Fatal(err)
	}
	found := &findings{}
	shared := parseYAML(content, place{source: sharedFile, line: 1}, "", found)
	if err := found.err(); err != nil {
		t.Fatal(err)
	}
	describe().paths("", func(path string, s *spec) {
		n := shared.lookup(strings.Split(path, ".")...)
		if n == nil {
			t.Errorf("%s has no default in %s", path, sharedFile)
		} else if n.comment == "" {
			t.Errorf("%s:%d: %s has no comment right above it", sharedFile, n.at.line, path)
		}
	})
	var inside func(s *spec, path string, free bool)
	inside = func(s *spec, path string, free bool) {
		for _, f := range s.fields {
			if free && f.doc == "" {
				t.Errorf("%s.%s is inside a map or list, where no comment stands, and has no doc tag", path, f.key)
			}
			if free && f.fallback == nil && !f.required {
				t.Errorf("%s.%s is inside a map or list and neither has a default nor is required", path, f.key)
			}
			inside(f, path+"."+f.key, free)
		}
		if s.elem != nil {
			inside(s.elem, path+"[]", true)
		}
	}
	inside(describe(), "", false)
}

// schemaProblem returns what the schema says about a settings file, nil when it accepts it.
func schemaProblem(t *testing.T, content []byte) error {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("settings.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("settings.json")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(content)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance)
}

func TestTheSchemaAcceptsTheShippedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{sharedFile, "development/sutazai.yaml", "production/sutazai.yaml"} {
		content, err := layerFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaProblem(t, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if first, _, _ := strings.Cut(string(content), "\n"); first != "# yaml-language-server: $schema=../schema.json" {
			t.Errorf("%s begins with %q, so editors do not find the schema", name, first)
		}
	}
}
