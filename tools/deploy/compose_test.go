package deploy

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// composed reads a compose file as compose does.
func composed(t *testing.T, name string, variables ...string) (*cli.ProjectOptions, *types.Project) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{filepath.Join("..", "..", "deploy", name)}, cli.WithName("lpbridge"), cli.WithEnv(variables))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range project.Secrets {
		if secret.File == "" {
			t.Errorf("the secret %s is no file", name)
		}
	}
	return options, project
}

// checkHeld looks at how a container of lpbridge is held.
func checkHeld(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Errorf("the container may do too much: read only %t, drops %v, %v", s.ReadOnly, s.CapDrop, s.SecurityOpt)
	}
	if s.MemLimit == 0 || s.PidsLimit == 0 {
		t.Errorf("memory %d, processes %d", s.MemLimit, s.PidsLimit)
	}
	// The default of LPBRIDGE_SHUTDOWN_TIMEOUT is 20 s.
	if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) < 25*time.Second {
		t.Errorf("a stop is cut off after %v", s.StopGracePeriod)
	}
}

// TestComposeReplicas: replicas differ in nothing, only the proxy is reached from outside and knows them by name, and
// the journal is in the database that is started for it.
func TestComposeReplicas(t *testing.T) {
	_, project := composed(t, "compose.replicas.yaml", "LP_ACCOUNT_ID=1", "LP_CLIENT_ID=c", "BRIDGE_HOST=bridge.example", "WEBHOOK_URL=https://channel.example/events")
	caddyfile, err := os.ReadFile(filepath.Join("..", "..", "deploy", "Caddyfile.replicas"))
	if err != nil {
		t.Fatal(err)
	}
	var replicas []types.ServiceConfig
	for name, s := range project.Services {
		if name != "proxy" && len(s.Ports) > 0 {
			t.Errorf("%s is reached from outside", name)
		}
		if !strings.HasPrefix(name, "bridge-") {
			continue
		}
		checkHeld(t, s)
		if len(s.Volumes) > 0 {
			t.Errorf("%s keeps something: %v", name, s.Volumes)
		}
		if !strings.Contains(string(caddyfile), " "+name+":8080") {
			t.Errorf("the proxy does not know %s", name)
		}
		if s.DependsOn["postgres"].Condition != types.ServiceConditionHealthy {
			t.Errorf("%s does not wait for the database", name)
		}
		s.Name = ""
		replicas = append(replicas, s)
	}
	if len(replicas) != 2 || !reflect.DeepEqual(replicas[0], replicas[1]) {
		t.Errorf("%d replicas, want two that are alike:\n%s", len(replicas), cmp.Diff(replicas[0], replicas[len(replicas)-1]))
	}
	store := *replicas[0].Environment["LPBRIDGE_STORE"]
	if want := "postgres://lpbridge@postgres:5432/lpbridge?sslmode=disable"; store != want {
		t.Errorf("the journal is in %s, want %s", store, want)
	}
	if _, there := project.Services["postgres"]; !there || *replicas[0].Environment["LPBRIDGE_PUBLIC_URL"] != "https://bridge.example" {
		t.Error("there is no database, or no public address")
	}
}

// TestCompose reads the compose file as compose does, and looks at how the
// container is held.
func TestCompose(t *testing.T) {
	options, project := composed(t, "compose.yaml", "LP_ACCOUNT_ID=1", "LP_CLIENT_ID=c", "LPBRIDGE_PUBLIC_URL=https://bridge.example", "WEBHOOK_URL=https://channel.example/events")
	s := project.Services["lpbridge"]
	checkHeld(t, s)
	for _, p := range s.Ports {
		if p.Target != 8080 || p.HostIP != "127.0.0.1" {
			t.Errorf("port %d is published at %q", p.Target, p.HostIP)
		}
	}
	// Without a variable compose says which one it is.
	options.Environment["LP_ACCOUNT_ID"] = ""
	if _, err := options.LoadProject(t.Context()); err == nil {
		t.Error("compose starts without an account")
	}
}
