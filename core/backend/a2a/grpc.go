package a2a

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/a2aproject/a2a-go/v2/a2a"
	grpcv1 "github.com/a2aproject/a2a-go/v2/a2agrpc/v1"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/a2aproject/a2a-go/v2/log"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

// grpcPath begins the address of every call by gRPC. The agent is named by the request's tenant.
const grpcPath = "/lf.a2a.v1.A2AService/"

// maxGRPC bounds a message that comes in by gRPC, in bytes; the guard bounds the body before.
const maxGRPC = 64 << 20

// newGRPC serves gRPC on the HTTP server that serves everything else.
func (s *Server) newGRPC(handler a2asrv.RequestHandler) http.Handler {
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxGRPC),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (_ any, err error) {
			defer s.caught(&err)
			if err := s.checkGRPC(ctx, info.FullMethod, req); err != nil {
				return nil, err
			}
			return next(log.AttachLogger(ctx, s.d.Logger), req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
			defer s.caught(&err)
			return next(srv, &checkedStream{ServerStream: stream, s: s, method: info.FullMethod})
		}),
	)
	grpcv1.NewHandler(handler).RegisterWith(server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			s.grpcProblem(w, r, core.Errorf(core.CodeInvalid, "this address takes gRPC over HTTP/2"))
			return
		}
		server.ServeHTTP(&flushing{ResponseWriter: w, rc: http.NewResponseController(w)}, r)
		if said := w.Header().Get("Grpc-Message"); said != "" {
			w.Header().Set("Grpc-Message", inOurWords(said)) // trailers are written once this returns
		}
	})
}

// inOurWords explains what the library says of a message that it cannot read.
func inOurWords(said string) string {
	switch {
	case strings.Contains(said, "error unmarshalling request"):
		return "the message is no valid protobuf of this method, or holds text that is not UTF-8"
	case strings.HasPrefix(said, "unknown method"), strings.HasPrefix(said, "malformed method name"):
		return "there is no such method"
	case said == "EOF", said == "unexpected EOF":
		return "the frame of the message is cut off"
	case strings.HasPrefix(said, "grpc: Decompressor"), strings.HasPrefix(said, "grpc: compressed flag"), strings.HasPrefix(said, "grpc: received unexpected payload format"):
		return "the frame of the message says that it is compressed, which this server does not take"
	case strings.HasPrefix(said, "grpc: received message"):
		return "the message is larger than " + strconv.Itoa(maxGRPC) + " bytes"
	}
	return said
}

// caught makes an error of a defect: gRPC would end the process.
func (s *Server) caught(err *error) {
	if r := recover(); r != nil {
		*err = s.grpcError(s.panicked(r))
	}
}

// checkedStream holds the one message of a stream's client to its form.
type checkedStream struct {
	grpc.ServerStream
	s      *Server
	method string
}

// Context implements grpc.ServerStream.
func (c *checkedStream) Context() context.Context {
	return log.AttachLogger(c.ServerStream.Context(), c.s.d.Logger)
}

// RecvMsg implements grpc.ServerStream.
func (c *checkedStream) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return c.s.checkGRPC(c.ServerStream.Context(), c.method, m)
}

// checkGRPC holds a message to its form, which is that of the JSON that means the same, and the version to those that there
// are: the address tells that it is 1.0, where nothing else does.
func (s *Server) checkGRPC(ctx context.Context, method string, req any) error {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		for _, v := range md.Get(a2a.SvcParamVersion) {
			if found, ok := known(v); v != "" && (!ok || found != a2acheck.V10) {
				return s.grpcError(unknownVersion(v))
			}
		}
	}
	m, ok := req.(proto.Message)
	if !ok {
		return s.grpcError(core.Errorf(core.CodeInvalid, "the message cannot be read"))
	}
	raw, err := protojson.Marshal(m)
	if err != nil {
		return s.grpcError(core.Errorf(core.CodeInvalid, "the message holds text that is not UTF-8, or a number that JSON does not know"))
	}
	if err := s.check.Check(a2acheck.V10, path.Base(method), "", raw); err != nil {
		return s.grpcError(err)
	}
	return nil
}

// grpcError is an error as gRPC gives it, with the details that the other transports give.
func (s *Server) grpcError(err error) error {
	e := s.asked(context.Background(), err)
	st := status.New(grpcCode(e), e.Error())
	info := &errdetails.ErrorInfo{Reason: a2a.ErrorReason(e), Domain: a2a.ProtocolDomain}
	bad := &errdetails.BadRequest{}
	if ce, ok := errors.AsType[*core.Error](err); ok {
		for _, f := range ce.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Message})
		}
	}
	if with, err := st.WithDetails(info, bad); err == nil {
		st = with
	}
	return st.Err()
}

func grpcCode(e error) codes.Code {
	switch statusName(e) {
	case "NOT_FOUND":
		return codes.NotFound
	case "UNIMPLEMENTED":
		return codes.Unimplemented
	case "UNAUTHENTICATED":
		return codes.Unauthenticated
	case "PERMISSION_DENIED":
		return codes.PermissionDenied
	case "FAILED_PRECONDITION":
		return codes.FailedPrecondition
	case "UNAVAILABLE":
		return codes.Unavailable
	case "INTERNAL":
		return codes.Internal
	default:
		return codes.InvalidArgument
	}
}

// grpcProblem writes an error of the middleware: gRPC tells them in its own trailers.
func (s *Server) grpcProblem(w http.ResponseWriter, r *http.Request, err error) {
	e := s.asked(r.Context(), err)
	code := grpcCode(e)
	switch core.CodeOf(err) {
	case core.CodeRateLimited, core.CodeTooLarge:
		code = codes.ResourceExhausted
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(int(code)))
	h.Set("Grpc-Message", strings.ReplaceAll(url.QueryEscape(e.Error()), "+", "%20"))
	w.WriteHeader(backend.StatusOf(err)) // gRPC's own status counts for its clients; this one for everybody between
}
