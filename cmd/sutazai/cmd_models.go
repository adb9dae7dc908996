package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/core"
)

func (c *cli) modelsCommand() *cobra.Command {
	return groupCommand("models", "List, test and watch models, and download them for the local model server", "  sutazai models list",
		c.modelsListCommand(), c.modelsTestCommand(), c.modelsRoutesCommand(), c.modelsUsageCommand(), c.modelsPullCommand())
}

func (c *cli) modelsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the models that can be called",
		Long: long(`list prints the models of every provider and the routes. STATE is that of the circuit breaker: closed (it
works), open (it failed too often and is left alone for a while), half_open (it is being tried), – (it was not called
since the server started).`, clientExits()...),
		Example: "  sutazai models list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			models, err := list[core.Model](cmd.Context(), c.client(), "/models", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.Model]{Items: models})
			}
			t := newTable("MODEL", "PROVIDER", "KIND", "STATE", "LOADED", "DETAIL")
			for _, m := range models {
				t.add(m.ID, m.Provider, m.Kind, m.State, map[bool]string{true: "yes"}[m.Loaded], m.Detail)
			}
			c.printTable(t)
			return nil
		},
	}
}

func (c *cli) modelsPullCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pull MODEL",
		Short: "Download a model into the data folder",
		Long: long(`pull downloads a model file into the data folder, where the local model server finds it. A download that was
interrupted goes on where it stopped; the file is checked by its hash before it is used. It needs no server.`,
			exitOK, exitFailed, exitUsage, exitNotFound, exitNotAllowed, exitUnreachable, exitInterrupted),
		Example: "  sutazai models pull owner/model/file.gguf",
		Args:    arguments(1, 1, "MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			bar := &progressBar{cli: c, began: time.Now()}
			path, err := c.program.pullModel(cmd.Context(), cfg, args[0], bar.show)
			bar.end()
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, map[string]string{"model": args[0], "path": path})
			}
			fmt.Fprintln(c.out, path)
			return nil
		},
	}
}

// progressBar shows a download: a bar on a terminal, a line for every tenth of it elsewhere.
type progressBar struct {
	cli   *cli
	began time.Time
	drawn time.Time
	tenth int64
	first bool
	live  bool
}

// show takes in how many bytes are there; total is 0 while it is unknown.
func (b *progressBar) show(done, total int64) {
	if b.cli.errTerminal {
		if now := time.Now(); done == total || now.Sub(b.drawn) >= 100*time.Millisecond {
			b.drawn, b.live = now, true
			fmt.Fprintf(b.cli.err, "\r\x1b[K%s", shorten(b.text(done, total), width(b.cli.err)-1))
		}
		return
	}
	tenth := int64(-1)
	if total > 0 {
		tenth = done * 10 / total
	}
	if !b.first || tenth > b.tenth {
		b.first, b.tenth = true, tenth
		b.cli.note("%s", b.text(done, total))
	}
}

func (b *progressBar) text(done, total int64) string {
	rate := ""
	if s := time.Since(b.began).Seconds(); s >= 1 {
		rate = fmt.Sprintf(" · %s/s", byteSize(int64(float64(done)/s)))
	}
	if total <= 0 {
		return byteSize(done) + rate
	}
	const cells = 30
	full := int(min(done*cells/total, cells))
	bar := ""
	if b.cli.errTerminal {
		for i := range cells {
			bar += map[bool]string{true: "█", false: "░"}[i < full]
		}
		bar += " "
	}
	return fmt.Sprintf("%s%3d %% · %s of %s%s", bar, done*100/total, byteSize(done), byteSize(total), rate)
}

// end leaves the bar's line.
func (b *progressBar) end() {
	if b.live {
		fmt.Fprintln(b.cli.err)
	}
}

// byteSize is a number of bytes for people.
func byteSize(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
