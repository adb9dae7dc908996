package main

import (
	"github.com/spf13/cobra"

	"github.com/sutazai/sutazai/config"
)

func (c *cli) configCommand() *cobra.Command {
	return groupCommand("config", "Show and check the settings", "  sutazai config show\n  sutazai config check",
		c.configShowCommand(), c.configCheckCommand(), c.configSchemaCommand())
}

func (c *cli) configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print every effective setting and where it came from",
		Long: long(`show prints each effective setting, its value and where it came from: the defaults, the environment's overlay,
your file with its line, a SUTAZAI_* variable or --set. Secrets are never shown. Settings marked with * are taken over
by a running server on SIGHUP; the others need a restart.`, exitOK, exitFailed, exitUsage),
		Example: "  sutazai config show\n  sutazai config show --json --config /etc/sutazai.yaml",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			settings := cfg.Show()
			if c.flags.json {
				return printJSON(c.out, settings)
			}
			t := newTable("SETTING", "VALUE", "FROM")
			for _, s := range settings {
				key := s.Key
				if s.Reloadable {
					key += " *"
				}
				t.add(key, s.Value, s.Origin)
			}
			c.printTable(t)
			return nil
		},
	}
}

func (c *cli) configCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the settings without starting anything",
		Long: long(`check reads the settings as the server would. An unknown key, a wrong type or an impossible value is an error
(2). What works but is probably not wished, such as a secret that is written out, is a warning.`, exitOK, exitFailed, exitUsage),
		Example: "  sutazai config check --config /etc/sutazai.yaml",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.config()
			if err != nil {
				return err
			}
			warnings := cfg.Check()
			if c.flags.json {
				if warnings == nil {
					warnings = []config.Warning{}
				}
				return printJSON(c.out, map[string]any{"environment": cfg.Environment(), "files": cfg.Files(), "warnings": warnings})
			}
			for _, w := range warnings {
				c.note("%s %s", c.errStyle().yellow("warning:"), w)
			}
			for _, f := range cfg.Files() {
				c.note("read %s", f)
			}
			c.note("the settings are valid (%s), %s", cfg.Environment(), count(int64(len(warnings)), "warning"))
			return nil
		},
	}
}

func (c *cli) configSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of a settings file, for editors",
		Long:    long("schema prints the JSON Schema of a settings file. Editors complete and check sutazai.yaml with it.", exitOK, exitFailed, exitUsage),
		Example: "  sutazai config schema > sutazai.schema.json",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = c.out.Write(schema)
			return err
		},
	}
}
