package a2a

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"google.golang.org/grpc/codes"

	"github.com/sutazai/sutazai/core"
)

// explain makes of an error of a call one that a user may read. e is what the call awaited.
func (p *Peer) explain(ctx context.Context, e *expectation, err error) error {
	e.mu.Lock()
	own, st, code := e.err, e.status, e.code
	e.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return p.ended(ctx)
	case core.CodeOf(own) == core.CodeInvalid:
		return p.malformed(own)
	case own != nil:
		return p.about(own, "the peer %s cannot be talked to", p.o.Name)
	case st != nil && grpcOwn(st.Code()):
		return p.grpc(st.Code(), st.Message())
	}
	if said, ok := errors.AsType[*a2a.Error](err); ok {
		return p.said(said)
	}
	if code != 0 {
		return p.status(code)
	}
	return core.Wrap(core.CodeInvalid, err, "the peer %s does not keep to A2A: its answer cannot be read", p.o.Name)
}

// grpcOwn says whether a status comes from gRPC itself, or means the same in every service.
func grpcOwn(c codes.Code) bool {
	switch c {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Unauthenticated, codes.PermissionDenied, codes.ResourceExhausted, codes.Unknown, codes.Canceled, codes.DataLoss:
		return true
	default:
		return false
	}
}

func (p *Peer) grpc(c codes.Code, message string) error {
	switch c {
	case codes.Unavailable:
		return core.Wrap(core.CodeUnavailable, errors.New(message), "the peer %s cannot be reached", p.o.Name)
	case codes.DeadlineExceeded:
		return core.Errorf(core.CodeTimeout, "the peer %s did not answer in time", p.o.Name)
	case codes.Unauthenticated, codes.PermissionDenied:
		return p.status(http.StatusUnauthorized)
	case codes.ResourceExhausted:
		return core.Wrap(core.CodeRefused, errors.New(message), "the peer %s has too much to do, or its answer is larger than %d bytes", p.o.Name, maxEvent)
	default:
		return core.Wrap(core.CodeRefused, errors.New(message), "the peer %s failed: %s", p.o.Name, c)
	}
}

// said is an error that the peer itself gives.
func (p *Peer) said(e *a2a.Error) error {
	text := short(e.Error(), 500)
	switch {
	case errors.Is(e, a2a.ErrTaskNotFound):
		return core.Wrap(core.CodeNotFound, e, "the peer %s does not know the task", p.o.Name)
	case errors.Is(e, a2a.ErrUnauthenticated), errors.Is(e, a2a.ErrUnauthorized):
		return p.status(http.StatusUnauthorized)
	}
	return core.Errorf(core.CodeRefused, "the peer %s declines: %s (%s)", p.o.Name, text, a2a.ErrorReason(e))
}

// status is what an HTTP status says.
func (p *Peer) status(code int) error {
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return core.Errorf(core.CodeRefused, "the peer %s does not let us in; check peers.%s.auth and headers", p.o.Name, p.o.Name)
	case code == http.StatusTooManyRequests:
		return core.Errorf(core.CodeRateLimited, "the peer %s has had too many requests; try again later", p.o.Name)
	case code == http.StatusRequestTimeout || code == http.StatusGatewayTimeout:
		return core.Errorf(core.CodeTimeout, "the peer %s did not answer in time", p.o.Name)
	case code >= 500:
		return core.Errorf(core.CodeUnavailable, "the peer %s is out of order (HTTP status %d)", p.o.Name, code)
	case code == http.StatusNotFound:
		return core.Errorf(core.CodeInvalid, "there is nothing at the address of peer %s (HTTP status 404); check peers.%s.url", p.o.Name, p.o.Name)
	default:
		return core.Errorf(core.CodeRefused, "the peer %s refuses the request (HTTP status %d)", p.o.Name, code)
	}
}

// about adds what was tried to an error of ours.
func (p *Peer) about(err error, format string, args ...any) error {
	said, ok := errors.AsType[*core.Error](err)
	if !ok {
		return core.Wrap(core.CodeUnavailable, err, format, args...)
	}
	return &core.Error{Code: said.Code, Message: fmt.Sprintf(format, args...) + ": " + said.Message, Fields: said.Fields, RetryAfter: said.RetryAfter, Err: err}
}

func (p *Peer) malformed(err error) error {
	said, _ := errors.AsType[*core.Error](err)
	out := core.Wrap(core.CodeInvalid, err, "the peer %s does not keep to A2A: %s", p.o.Name, short(core.MessageOf(err), 500))
	if said != nil {
		out.Fields = said.Fields
	}
	return out
}

// ended says why a context has ended.
func (p *Peer) ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errTurnTime) {
		return core.Errorf(core.CodeTimeout, "the peer %s did not come to an end within %s; raise peers.%s.timeout if it needs longer", p.o.Name, p.o.Timeout, p.o.Name)
	}
	return context.Cause(ctx)
}

// nothingBegun says whether the request behind an error has certainly not reached the agent.
func nothingBegun(err error) bool {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	switch core.CodeOf(err) {
	case core.CodeForbidden, core.CodeRefused, core.CodeRateLimited, core.CodeNotFound:
		return true
	default:
		return false
	}
}
