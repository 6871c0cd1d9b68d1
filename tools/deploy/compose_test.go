package deploy

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
)

// TestCompose reads the compose file as compose does, and looks at how the
// container is held.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join("..", "..", "deploy", "compose.yaml")},
		cli.WithName("lpbridge"), cli.WithEnv([]string{
			"LP_ACCOUNT_ID=1", "LP_CLIENT_ID=c", "LPBRIDGE_PUBLIC_URL=https://bridge.example", "WEBHOOK_URL=https://channel.example/events",
		}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := project.Services["lpbridge"]
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("the container may do too much: read only %t, drops %v, %v", s.ReadOnly, s.CapDrop, s.SecurityOpt)
	}
	if s.MemLimit == 0 || s.PidsLimit == 0 {
		t.Errorf("memory %d, processes %d", s.MemLimit, s.PidsLimit)
	}
	for _, p := range s.Ports {
		if p.Target != 8080 || p.HostIP != "127.0.0.1" {
			t.Errorf("port %d is published at %q", p.Target, p.HostIP)
		}
	}
	// The default of LPBRIDGE_SHUTDOWN_TIMEOUT is 20 s.
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 25*time.Second {
		t.Errorf("a stop is cut off after %v", s.StopGracePeriod)
	}
	for name, secret := range project.Secrets {
		if secret.File == "" {
			t.Errorf("the secret %s is no file", name)
		}
	}
	// Without a variable compose says which one it is.
	options.Environment["LP_ACCOUNT_ID"] = ""
	if _, err := options.LoadProject(t.Context()); err == nil {
		t.Error("compose starts without an account")
	}
}
