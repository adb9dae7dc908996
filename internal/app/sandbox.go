package app

import (
	"log/slog"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/sandbox"
)

// SandboxHelper does the work of the sandbox's helper if that is what args, without the program's name, ask for, and returns the
// exit code. The program calls it before anything else.
func SandboxHelper(args []string) (code int, is bool) {
	if len(args) == 0 || args[0] != sandbox.HelperArgument {
		return 0, false
	}
	return sandbox.Helper(args[1:]), true
}

// newSandbox starts nothing. helper is a program that begins with SandboxHelper; "" = commands are refused.
func newSandbox(cfg *config.Config, helper string, log *slog.Logger) (*sandbox.Sandbox, error) {
	s := cfg.Tools.Sandbox
	return sandbox.New(sandbox.Config{
		Level: s.Level, Network: s.Network == "host", Paths: s.Paths, Parallel: s.Parallel, Limits: commandLimits(cfg),
	}, sandbox.Deps{Helper: helper, Private: cfg.Server.DataDir, Logger: log})
}

func commandLimits(cfg *config.Config) sandbox.Limits {
	s := cfg.Tools.Sandbox
	return sandbox.Limits{
		Memory: s.Memory, Processes: s.Processes, Time: s.Time, Disk: s.Disk, Workspace: cfg.Tools.WorkspaceMax,
		Output: int(cfg.Tools.OutputMax) * 3 / 8, // of two outputs; the rest is for what is said about them
	}
}

// sandboxService is the sandbox in the list of services.
func sandboxService(st sandbox.Status) core.Service {
	svc := core.Service{Name: "sandbox", Kind: "builtin", State: core.ServiceHealthy, Detail: st.String()}
	if st.Level == sandbox.None {
		svc.State = core.ServiceDegraded
	}
	return svc
}
