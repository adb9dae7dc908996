package config

import "time"

// Sandbox is what the commands get that agents run by run_shell and run_python.
type Sandbox struct {
	Level     string        `yaml:"level" enum:"auto,bubblewrap,landlock,off"`
	Network   string        `yaml:"network" enum:"off,host"`
	Memory    int64         `yaml:"memory" as:"size" min:"16MB" reload:"true"`
	Processes int           `yaml:"processes" min:"4" max:"100000" reload:"true"`
	Time      time.Duration `yaml:"time" min:"1s" max:"24h" reload:"true"`
	Disk      int64         `yaml:"disk" as:"size" min:"64KB" reload:"true"`
	Parallel  int           `yaml:"parallel" min:"1" max:"1000"`
	Paths     []string      `yaml:"paths"`
}
