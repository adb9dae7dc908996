//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sutazai/sutazai/tests/testserver"
)

// installPatience bounds one installation.
const installPatience = 10 * time.Minute

// install runs a command that brings something this machine does not have.
func install(t *testing.T, dir string, env []string, name string, args ...string) error {
	t.Helper()
	t.Logf("progress e2e runs %s %v", name, args)
	ctx, cancel := context.WithTimeout(t.Context(), installPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	return err
}

// repository is the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// model makes sure that there is a real model, and returns the settings that it needs.
func model(t *testing.T, o testserver.Options) []string {
	t.Helper()
	if url := os.Getenv("SUTAZAI_E2E_MODEL_URL"); url != "" {
		return []string{
			"SUTAZAI_MODELS_PROVIDERS_LOCAL_KIND=openai", "SUTAZAI_MODELS_PROVIDERS_LOCAL_BASE_URL=" + url,
			"SUTAZAI_MODELS_PROVIDERS_LOCAL_API_KEY=env:MODEL_KEY", "MODEL_KEY=" + os.Getenv("SUTAZAI_E2E_MODEL_KEY"),
		}
	}
	env := []string{"SUTAZAI_SERVER_DATA_DIR=" + o.DataDir}
	if err := install(t, repository(t), env, "scripts/deployment/local-model.sh"); err != nil {
		t.Fatalf("install a local model: %v", err)
	}
	return []string{"SUTAZAI_MODELS_LOCAL_RUNTIME=auto"}
}

// nodePackages installs what the scripts of this folder import.
func nodePackages(t *testing.T) {
	t.Helper()
	if upToDate("node_modules/.package-lock.json", "package-lock.json") {
		return
	}
	if err := install(t, ".", nil, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		t.Fatalf("install the Node packages: %v", err)
	}
}

// python returns an interpreter that has the packages of requirements.txt.
func python(t *testing.T) string {
	t.Helper()
	const stamp = ".venv/installed"
	interpreter, err := filepath.Abs(".venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if upToDate(stamp, "requirements.txt") {
		return interpreter
	}
	if err := install(t, ".", nil, "python3", "-m", "venv", "--clear", ".venv"); err != nil {
		// Debian keeps the module in a package of its own.
		if err := install(t, repository(t), nil, "scripts/maintenance/need.sh", "python3 -c 'import ensurepip'", "python3-venv"); err != nil {
			t.Fatalf("install python3-venv: %v", err)
		}
		if err := install(t, ".", nil, "python3", "-m", "venv", "--clear", ".venv"); err != nil {
			t.Fatalf("make a Python environment: %v", err)
		}
	}
	if err := install(t, ".", nil, interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"); err != nil {
		t.Fatalf("install the Python packages: %v", err)
	}
	if err := os.WriteFile(stamp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return interpreter
}

// browser returns a Chromium.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if err := install(t, repository(t), nil, "scripts/maintenance/need.sh", "chromium", "chromium"); err != nil {
		t.Fatalf("install a browser: %v", err)
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// upToDate says whether what was made of a file is newer than it.
func upToDate(made, of string) bool {
	m, err := os.Stat(made)
	if err != nil {
		return false
	}
	o, err := os.Stat(of)
	return err == nil && !m.ModTime().Before(o.ModTime())
}
