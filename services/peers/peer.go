// Package peers reaches agents that run elsewhere: servers that speak A2A, and programs on this machine. It gives one of
// them a turn of work, passes on what it writes and asks, and says how the turn ended. Each protocol is a package below. It
// must not know of runs beyond their ids, of approvals beyond the question that it passes on, and of how turns are recorded.
package peers

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/core"
)

// Peer is an agent behind a protocol. Its methods may be called from several goroutines.
type Peer interface {
	// Talk makes one turn. It returns soon after ctx ends, and lets the peer know that it should stop. With
	// PeerCall.Interrupted it first asks the peer what became of the turn, where the protocol can tell, and goes on from
	// there. Codes: CodeUnavailable (the peer cannot be reached; nothing was begun), CodeTimeout, CodeRefused (the peer
	// declines), CodeInvalid (the peer does not keep to its protocol; the message names the field), CodeConflict (the
	// interrupted turn cannot be found again: it may or may not have had its effect).
	Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error)
	// Status says how the peer does; it may ask it.
	Status(ctx context.Context) core.PeerStatus
	// Close ends what belongs to the peer. No turn may be under way.
	Close() error
}

// Peers finds peers by name.
type Peers struct{ byName map[string]Peer }

// New returns the peers by their names in the settings.
func New(byName map[string]Peer) *Peers { return &Peers{byName: byName} }

// Names lists them, sorted.
func (p *Peers) Names() []string {
	names := make([]string, 0, len(p.byName))
	for name := range p.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Talk makes a turn with the peer that the call names; CodeNotFound when there is none.
func (p *Peers) Talk(ctx context.Context, call core.PeerCall, events core.PeerEvents) (core.PeerAnswer, error) {
	peer, ok := p.byName[call.Peer]
	if !ok {
		return core.PeerAnswer{}, core.Errorf(core.CodeNotFound, "there is no peer %q in the settings; there is: %s", call.Peer, strings.Join(p.Names(), ", "))
	}
	return peer.Talk(ctx, call, events)
}

// Status says how every peer does, sorted by name. It asks them side by side.
func (p *Peers) Status(ctx context.Context) []core.PeerStatus {
	names := p.Names()
	out := make([]core.PeerStatus, len(names))
	var asking sync.WaitGroup
	for i, name := range names {
		asking.Go(func() { out[i] = p.byName[name].Status(ctx) })
	}
	asking.Wait()
	return out
}

// Close closes every peer.
func (p *Peers) Close() error {
	var first error
	for _, name := range p.Names() {
		if err := p.byName[name].Close(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
