package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sutazai/sutazai/core"
)

// maxCredential bounds what is read of a key, in bytes; the server's own bound is lower.
const maxCredential = 64 << 10

func (c *cli) credentialsCommand() *cobra.Command {
	return groupCommand("credentials", "Keep the keys of model providers, encrypted", "  sutazai credentials add openai < key.txt",
		c.credentialsAddCommand(), c.credentialsListCommand(), c.credentialsRemoveCommand(), c.credentialsRotateCommand(), c.credentialsNewMasterCommand())
}

func (c *cli) credentialsAddCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "add PROVIDER",
		Short: "Store a provider's key; it is read from standard input",
		Long: long(`add stores a key of PROVIDER, one of models.providers in the settings, encrypted in the server's database. A running
server uses it at once. The key is asked for on a terminal, else read from standard input; never give it as an argument,
where other users and the shell's history could see it.`, clientExits()...),
		Example: `  sutazai credentials add openai
  sutazai credentials add openai --name team-a < key.txt`,
		Args: arguments(1, 1, "PROVIDER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := c.readSecret("key of " + args[0])
			if err != nil {
				return err
			}
			if key == "" {
				return usagef(cmd.CommandPath(), "there is no key on standard input; give it there, such as: sutazai credentials add %s < key.txt", args[0])
			}
			body := newCredential{Provider: args[0], Name: name, Secret: key}
			var made core.Credential
			if err := c.client().do(cmd.Context(), call{method: http.MethodPost, path: "/credentials", body: body}, &made); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, made)
			}
			c.note("stored the key of %s as %s", made.Provider, made.ID)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "a `name` to recognise it by")
	return cmd
}

// newCredential is the body of POST /credentials.
type newCredential struct {
	Provider string `json:"provider"`
	Name     string `json:"name,omitempty"`
	Secret   string `json:"secret"`
}

// readSecret asks for a secret on a terminal, without showing it, else reads standard input to its end.
func (c *cli) readSecret(what string) (string, error) {
	if f, ok := c.in.(*os.File); ok && c.inTerminal {
		fmt.Fprintf(c.err, "%s (not shown): ", what)
		text, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.err)
		if err != nil {
			return "", core.Wrap(core.CodeInvalid, err, "the terminal cannot be read; give the key on standard input")
		}
		return strings.TrimSpace(string(text)), nil
	}
	text, err := io.ReadAll(io.LimitReader(c.in, maxCredential))
	if err != nil {
		return "", core.Wrap(core.CodeInvalid, err, "standard input cannot be read")
	}
	return strings.TrimSpace(string(text)), nil
}

func (c *cli) credentialsListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the stored keys of providers, without the keys",
		Long: long(`list prints the stored keys of providers: the last characters, when each was used last, and why the provider refuses it
where it does. Keys that the settings refer to are not among them.`, clientExits()...),
		Example: "  sutazai credentials list",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, err := list[core.Credential](cmd.Context(), c.client(), "/credentials", nil)
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, page[core.Credential]{Items: items})
			}
			if len(items) == 0 {
				c.note("no stored keys; add one with `sutazai credentials add PROVIDER`")
				return nil
			}
			t := newTable("ID", "PROVIDER", "NAME", "ENDS IN", "ADDED", "BY", "LAST USED", "STATE")
			for _, k := range items {
				t.add(k.ID, k.Provider, k.Name, k.Hint, moment(k.CreatedAt), k.CreatedBy, momentOf(k.LastUsedAt), credentialState(k))
			}
			c.printTable(t)
			return nil
		},
	}
}

func credentialState(k core.Credential) string {
	switch {
	case k.DisabledAt != nil:
		return "removed " + moment(*k.DisabledAt)
	case k.LastError != "":
		return k.LastError
	}
	return "in use"
}

func (c *cli) credentialsRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "remove ID",
		Short:   "Forget a stored key of a provider for good",
		Long:    long("remove takes a stored key out of use, at once, and deletes it. ID is the one that `credentials list` prints.", clientExits()...),
		Example: "  sutazai credentials remove 019ab3c1-7c2e-7000-8000-0123456789ab",
		Args:    arguments(1, 1, "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var gone core.Credential
			if err := c.client().do(cmd.Context(), call{method: http.MethodDelete, path: "/credentials/" + url.PathEscape(args[0])}, &gone); err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, gone)
			}
			c.note("removed the key %s of %s", gone.ID, gone.Provider)
			return nil
		},
	}
}

func (c *cli) credentialsRotateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate-master",
		Short: "Encrypt the stored keys anew, under a new master key",
		Long: long(`rotate-master makes a new master key, encrypts every stored key of a provider under it and replaces the file secret.key
in the data folder. Copy that file anew to where you keep it apart from backups.

Where server.secret_key is set, the server cannot change the master key: put a new one (credentials new-master) before
the old one there, restart every server, run this command, then take the old one away.`, clientExits()...),
		Example: "  sutazai credentials rotate-master",
		Args:    arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := c.client().rotateMaster(cmd.Context())
			if err != nil {
				return err
			}
			if c.flags.json {
				return printJSON(c.out, rotated{n})
			}
			c.note("encrypted %s anew", count(int64(n), "stored key"))
			return nil
		},
	}
}

// rotated is the answer of POST /credentials/rotate-master.
type rotated struct {
	Credentials int `json:"credentials"`
}

func (c *client) rotateMaster(ctx context.Context) (int, error) {
	var r rotated
	err := c.do(ctx, call{method: http.MethodPost, path: "/credentials/rotate-master"}, &r)
	return r.Credentials, err
}

func (c *cli) credentialsNewMasterCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new-master",
		Short: "Print a new master key, for server.secret_key",
		Long: long(`new-master prints a new master key. Servers that share a database need the same one: put it where all of them can read
it, such as a file that server.secret_key refers to. It is printed once and kept nowhere.`, exitOK, exitUsage),
		Example: "  sutazai credentials new-master > master.key",
		Args:    arguments(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(c.out, c.program.newMasterKey())
			return err
		},
	}
}
