package agents

import (
	"errors"

	"github.com/goccy/go-yaml/ast"

	"github.com/sutazai/sutazai/internal/yamlnode"
)

// firstLine is the line of the file in which the settings start.
const firstLine = 2

// parseYAML reads the settings. Of an error it returns the line in the file.
func parseYAML(text []byte) (root ast.Node, line int, err error) {
	root, line, err = yamlnode.Parse(text)
	switch {
	case err != nil:
		return nil, inFile(line), err
	case root == nil:
		return nil, 1, errors.New(`the settings are empty; at least "name" and "description" belong here`)
	}
	return root, 0, nil
}

// lineOf is the line of a node in the file.
func lineOf(n ast.Node) int { return inFile(yamlnode.Line(n)) }

// inFile turns a line of the settings into one of the file.
func inFile(line int) int { return line + firstLine - 1 }
