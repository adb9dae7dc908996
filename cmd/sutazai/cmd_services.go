package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

func (c *cli) servicesCommand() *cobra.Command {
	return groupCommand("services", "See the health of what SutazAI runs and depends on", "  sutazai services list", c.servicesListCommand())
}

func (c *cli) servicesListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List services and their health",
		Long:    long("list prints every service that SutazAI runs or depends on, with its health and since when it has it.", clientExits()...),
		Example: "  sutazai services list --json",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			services, err := list[core.Service](cmd.Context(), c.client(), "/services", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.Service]{Items: services})
			}
			t := newTable("SERVICE", "KIND", "STATE", "LATENCY", "RESTARTS", "SINCE", "DETAIL").alignRight(3, 4)
			for _, s := range services {
				t.add(s.Name, s.Kind, string(s.State), fmt.Sprintf("%.1f ms", s.LatencyMS), number(int64(s.Restarts)), moment(s.Since), s.Detail)
			}
			c.printTable(t)
			return nil
		},
	}
}
