package aimodels_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

func TestALimitStaysALimitWhileTheBreakerIsOpen(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]core.Code{"at its limit": core.CodeRateLimited, "down": core.CodeUnavailable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := aimodelstest.NewScripted(aimodelstest.Always(aimodelstest.Fail(aimodels.Retryable(core.Errorf(code, "provider p does not answer")))))
			g := setup(t, aimodels.Config{Attempts: 1, BreakerAfter: 2, BreakerDelay: time.Minute}, map[string]aimodels.Provider{"p": p})
			for i := range 4 {
				_, err := g.Chat(t.Context(), request("p/m"), nil)
				if core.CodeOf(err) != code {
					t.Errorf("call %d: code %s, want %s (%v)", i, core.CodeOf(err), code, err)
				}
				if open := i >= 2; open != strings.Contains(core.MessageOf(err), "failed repeatedly") || open && core.RetryAfterOf(err) <= 0 {
					t.Errorf("call %d: %v, to be repeated after %v", i, err, core.RetryAfterOf(err))
				}
			}
			if n := len(p.Requests()); n != 2 {
				t.Errorf("%d calls were made, want 2", n)
			}
		})
	}
}
