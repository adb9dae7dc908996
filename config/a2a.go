package config

import "time"

// A2A is how other programs call the agents by the Agent2Agent protocol.
type A2A struct {
	DefaultAgent string  `yaml:"default_agent"`
	PublicCards  bool    `yaml:"public_cards"`
	Push         A2APush `yaml:"push"`
}

// A2APush bounds messages to the addresses that clients give.
type A2APush struct {
	Enabled      bool          `yaml:"enabled"`
	AllowPrivate bool          `yaml:"allow_private"`
	AllowHosts   []string      `yaml:"allow_hosts" format:"host pattern"`
	GiveUpAfter  time.Duration `yaml:"give_up_after" min:"1m" max:"720h"`
}
