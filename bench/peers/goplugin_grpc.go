package main

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/understudy-go/understudy/bench/peers/internal/notepb"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// grpcPlugin is the plugin where go-plugin speaks gRPC.
type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (grpcPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	notepb.RegisterChangerServer(s, grpcServer{})
	return nil
}

func (grpcPlugin) GRPCClient(ctx context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return grpcClient{ctx, notepb.NewChangerClient(conn)}, nil
}

type grpcServer struct {
	notepb.UnimplementedChangerServer
}

func (grpcServer) Change(_ context.Context, n *notepb.Note) (*notepb.Note, error) {
	reply := work.Change(work.Note{N: int(n.N), S: n.S})
	return &notepb.Note{N: int64(reply.N), S: reply.S}, nil
}

type grpcClient struct {
	ctx    context.Context // of the plugin's life
	client notepb.ChangerClient
}

func (c grpcClient) Change(n work.Note) (work.Note, error) {
	reply, err := c.client.Change(c.ctx, &notepb.Note{N: int64(n.N), S: n.S})
	if err != nil {
		return work.Note{}, err
	}
	return work.Note{N: int(reply.N), S: reply.S}, nil
}
