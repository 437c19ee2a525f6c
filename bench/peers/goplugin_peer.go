package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
	"github.com/understudy-go/understudy/bench/peers/internal/harness"
)

// handshake is what go-plugin has both sides agree on.
var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "UNDERSTUDY_PEERS_PLUGIN", MagicCookieValue: "1"}

// goPlugin is a plugin of hashicorp/go-plugin.
type goPlugin struct {
	client  *plugin.Client
	changer changer
}

func startGoPlugin(role string, protocol plugin.Protocol, p plugin.Plugin) func(context.Context) (harness.Peer, error) {
	return func(context.Context) (harness.Peer, error) {
		client := plugin.NewClient(&plugin.ClientConfig{
			HandshakeConfig:  handshake,
			Plugins:          plugin.PluginSet{"changer": p},
			Cmd:              child.Bind(child.Role(role)),
			AllowedProtocols: []plugin.Protocol{protocol},
			Logger:           hclog.NewNullLogger(),
		})
		protocolClient, err := client.Client()
		if err != nil {
			return nil, err
		}
		raw, err := protocolClient.Dispense("changer")
		if err != nil {
			client.Kill()
			return nil, err
		}
		c, ok := raw.(changer)
		if !ok {
			client.Kill()
			return nil, fmt.Errorf("go-plugin dispensed a %T", raw)
		}
		return &goPlugin{client, c}, nil
	}
}

func (p *goPlugin) Round(n int, pause time.Duration) ([]time.Duration, error) {
	return callRound(p.changer, n, pause)
}

func (p *goPlugin) PIDs() []int { return []int{p.client.ReattachConfig().Pid} }
func (p *goPlugin) Stop()       { p.client.Kill() }

func goPluginNetRPCChild() error { return serveGoPlugin(netRPCPlugin{}, nil) }
func goPluginGRPCChild() error   { return serveGoPlugin(grpcPlugin{}, plugin.DefaultGRPCServer) }

// serveGoPlugin is the other side.
func serveGoPlugin(p plugin.Plugin, grpcServer func([]grpc.ServerOption) *grpc.Server) error {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"changer": p},
		GRPCServer:      grpcServer,
		Logger:          hclog.NewNullLogger(),
	})
	return nil
}
