package secrets

import (
	"context"
	"time"

	"github.com/sutazai/sutazai/core"
)

// useEvery is how often the time of a credential's latest use is written, at most.
const useEvery = time.Minute

// lastPatience bounds what a server that ends still writes.
const lastPatience = 2 * time.Second

// recordLast writes the uses of a server that ends.
func (v *Vault) recordLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	if err := v.recordUses(ctx); err != nil {
		v.o.Logger.Warn("the latest uses of credentials are not recorded", "error", err)
	}
}

// recordUses writes the uses that are new, and those that failed or work again at once.
func (v *Vault) recordUses(ctx context.Context) error {
	if v.o.Used == nil {
		return nil
	}
	var fresh []core.CredentialUse
	uses := v.o.Used()
	v.mu.Lock()
	for _, use := range uses {
		if last, known := v.written[use.ID]; known && last.Error == use.Error && use.UsedAt.Sub(last.UsedAt) < useEvery || !known && use.UsedAt.IsZero() {
			continue
		}
		fresh = append(fresh, use)
	}
	v.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	if err := v.o.Store.CredentialsUsed(ctx, fresh); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, use := range fresh {
		v.written[use.ID] = use
	}
	return nil
}
