package main

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"

	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// netRPCPlugin is the plugin where go-plugin speaks net/rpc.
type netRPCPlugin struct{}

func (netRPCPlugin) Server(*plugin.MuxBroker) (any, error) { return &Server{}, nil }

func (netRPCPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return pluginClient{c}, nil
}

type pluginClient struct{ *rpc.Client }

func (c pluginClient) Change(n work.Note) (reply work.Note, err error) {
	err = c.Call("Plugin.Change", n, &reply) // the name that go-plugin serves it by
	return reply, err
}
