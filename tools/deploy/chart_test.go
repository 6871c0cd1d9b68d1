package deploy

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write anew what the chart renders to")

// dir is the chart's, testdata is beside its templates.
var (
	dir      = filepath.Join("..", "..", "deploy", "chart")
	testdata = filepath.Join(dir, "testdata")
)

func load(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// valuesOf reads a file of testdata.
func valuesOf(t *testing.T, name string) map[string]any {
	t.Helper()
	values, err := chartutil.ReadValuesFile(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// render is `helm template bridge deploy/chart`, as one text.
func render(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	c := load(t)
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "bridge", Namespace: "chat", IsInstall: true}, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text := strings.TrimSpace(files[name]); text != "" && strings.HasSuffix(name, ".yaml") {
			out.WriteString("---\n# " + name + "\n" + text + "\n")
		}
	}
	return out.String(), nil
}

// kinds are the types of what the chart makes. A ServiceMonitor is none of
// Kubernetes' own.
var kinds = map[string]func() any{
	"apps/v1 StatefulSet":                     func() any { return new(appsv1.StatefulSet) },
	"apps/v1 Deployment":                      func() any { return new(appsv1.Deployment) },
	"v1 Service":                              func() any { return new(corev1.Service) },
	"networking.k8s.io/v1 Ingress":            func() any { return new(networkingv1.Ingress) },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networkingv1.NetworkPolicy) },
	"policy/v1 PodDisruptionBudget":           func() any { return new(policyv1.PodDisruptionBudget) },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(serviceMonitor) },
}

// serviceMonitor is as much of the Prometheus operator's as the chart sets.
type serviceMonitor struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			Scheme        string `json:"scheme"`
			Authorization struct {
				Credentials corev1.SecretKeySelector `json:"credentials"`
			} `json:"authorization"`
			TLSConfig struct {
				ServerName string `json:"serverName"`
				CA         struct {
					Secret corev1.SecretKeySelector `json:"secret"`
				} `json:"ca"`
			} `json:"tlsConfig"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// decoded are the objects of a rendered chart. A field that a type has not, and
// one that is there twice, fails the test.
func decoded(t *testing.T, rendered string) (objects []any) {
	t.Helper()
	for text := range strings.SplitSeq(rendered, "---\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(text), &head); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		fresh := kinds[head.APIVersion+" "+head.Kind]
		if fresh == nil {
			t.Fatalf("%s %s is no kind that is known here", head.APIVersion, head.Kind)
		}
		object := fresh()
		if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		objects = append(objects, object)
	}
	return objects
}

// workload is what keeps bridges running: how many, and each of them.
type workload struct {
	replicas int32
	pod      corev1.PodSpec
	claims   int
}

// workloadOf finds the one workload of a chart.
func workloadOf(t *testing.T, values map[string]any) workload {
	t.Helper()
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	var found []workload
	for _, o := range decoded(t, rendered) {
		switch w := o.(type) {
		case *appsv1.StatefulSet:
			found = append(found, workload{*w.Spec.Replicas, w.Spec.Template.Spec, len(w.Spec.VolumeClaimTemplates)})
		case *appsv1.Deployment:
			found = append(found, workload{*w.Spec.Replicas, w.Spec.Template.Spec, 0})
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d workloads were rendered, want one", len(found))
	}
	return found[0]
}

// TestGolden renders each values file of testdata.
func TestGolden(t *testing.T) {
	for name, count := range map[string]int{"least": 5, "every-channel": 5, "everything": 7, "postgres": 5} {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, valuesOf(t, name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(decoded(t, got)); n != count {
				t.Errorf("%d objects were rendered, want %d", n, count)
			}
			path := filepath.Join(testdata, name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the chart renders to something else, `make chart` writes it anew (-was +is):\n%s", diff)
			}
		})
	}
}

// TestLint is `helm lint`.
func TestLint(t *testing.T) {
	for _, name := range []string{"least", "every-channel", "everything", "postgres"} {
		for _, m := range lint.All(dir, valuesOf(t, name+".yaml"), "chat", true).Messages {
			if !strings.Contains(m.Error(), "icon is recommended") {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// TestRefused: what helm says of values that cannot work, before anything is
// installed.
func TestRefused(t *testing.T) {
	for _, tc := range []struct {
		name, set, want string
	}{
		{"a misspelt variable", "env: {LP_ACOUNT_ID: x}", "LP_ACOUNT_ID"},
		{"a secret among the variables", "env: {LP_CLIENT_SECRET: x}", "LP_CLIENT_SECRET"},
		{"a variable that the chart sets", "env: {LPBRIDGE_STORE: x}", "LPBRIDGE_STORE"},
		{"a word that is none of the variable's", "env: {LPBRIDGE_LOG_LEVEL: loud}", "LPBRIDGE_LOG_LEVEL"},
		{"a secret without a key", "secretFiles: {WEBHOOK_TOKEN: {secret: s}}", "key"},
		{"a secret that is none", "secretFiles: {LP_ACCOUNT_ID: {secret: s, key: k}}", "LP_ACCOUNT_ID"},
		{"no account", "env: {LP_ACCOUNT_ID: null}", "env.LP_ACCOUNT_ID is required"},
		{"no admin token", "secretFiles: {LPBRIDGE_ADMIN_TOKEN: null}", "secretFiles.LPBRIDGE_ADMIN_TOKEN is required"},
		{"a second process for the journal", "replicaCount: 2", "replicaCount"},
		{"a password in an address", "postgres: {url: 'postgres://lpbridge:secret@db.example/lpbridge'}", "postgres.url must have no password"},
		{"one replica", "postgres: {url: 'postgres://lpbridge@db.example/lpbridge', replicas: 1}", "replicas"},
		{"a misspelt value", "persistance: {size: 1Gi}", "persistance"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			change, err := chartutil.ReadValues([]byte(tc.set))
			if err != nil {
				t.Fatal(err)
			}
			values := chartutil.CoalesceTables(change, valuesOf(t, "least.yaml"))
			if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), ":secret@") {
				t.Errorf("helm says %v, want %q", err, tc.want)
			}
		})
	}
}

// TestHardened: what a Pod Security Standard of "restricted" asks for, and more.
func TestHardened(t *testing.T) {
	for name, replicas := range map[string]int32{"least": 1, "everything": 1, "postgres": 3} {
		w := workloadOf(t, valuesOf(t, name+".yaml"))
		pod := w.pod
		if w.replicas != replicas {
			t.Errorf("%s: %d processes share a journal, want %d", name, w.replicas, replicas)
		}
		if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
			t.Errorf("%s: the pod has a token of the cluster, or variables of Kubernetes' own making", name)
		}
		if s := pod.SecurityContext; !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: the pod may do too much: %+v", name, s)
		}
		c := pod.Containers[0]
		s := c.SecurityContext
		if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s: the container may do too much: %+v", name, s)
		}
		if c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: no limit of memory", name)
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil {
				t.Errorf("%s: %s is no file", name, e.Name)
			}
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe.HTTPGet.Port.StrVal != "admin" {
				t.Errorf("%s: a probe asks %v", name, probe.HTTPGet)
			}
		}
		if at := pod.TerminationGracePeriodSeconds; *at <= 5+20 {
			t.Errorf("%s: the kubelet kills after %d s, before the stop is over", name, *at)
		}
	}
}

// variables are what a bridge is told.
func variables(w workload) map[string]string {
	told := map[string]string{}
	for _, e := range w.pod.Containers[0].Env {
		told[e.Name] = e.Value
	}
	return told
}

// TestReplicas: with PostgreSQL there is no volume, the password is a file, replicas keep apart, and the network
// policy lets them at each other and at the database.
func TestReplicas(t *testing.T) {
	values := valuesOf(t, "postgres.yaml")
	w := workloadOf(t, values)
	told := variables(w)
	for name, want := range map[string]string{
		"LPBRIDGE_STORE":               "postgres://lpbridge@db-1.example:5432,db-2.example:5432/lpbridge?sslmode=verify-full&target_session_attrs=read-write&sslrootcert=/run/tls/postgres/ca.crt",
		"LPBRIDGE_PEER_LISTEN":         ":8082",
		"LPBRIDGE_STORE_PASSWORD_FILE": "/run/secrets/lpbridge/LPBRIDGE_STORE_PASSWORD",
	} {
		if told[name] != want {
			t.Errorf("%s is %q, want %q", name, told[name], want)
		}
	}
	for _, v := range w.pod.Volumes {
		if v.Name == "data" || v.PersistentVolumeClaim != nil {
			t.Errorf("there is a volume %s", v.Name)
		}
	}
	apart := w.pod.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution[0].PodAffinityTerm
	if apart.TopologyKey != "kubernetes.io/hostname" || len(apart.LabelSelector.MatchLabels) == 0 {
		t.Errorf("replicas may be on one machine: %+v", apart)
	}
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range decoded(t, rendered) {
		switch o := o.(type) {
		case *networkingv1.NetworkPolicy:
			in, out := o.Spec.Ingress[len(o.Spec.Ingress)-1], o.Spec.Egress[len(o.Spec.Egress)-2:]
			if in.Ports[0].Port.StrVal != "peer" || in.From[0].PodSelector.MatchLabels["app.kubernetes.io/instance"] != "bridge" {
				t.Errorf("the peer listener takes %+v", in)
			}
			if out[0].Ports[0].Port.IntVal != 5432 || out[0].To[0].PodSelector == nil || out[1].Ports[0].Port.StrVal != "peer" {
				t.Errorf("a replica reaches %+v", out)
			}
		case *policyv1.PodDisruptionBudget:
			if o.Spec.MaxUnavailable.IntVal != 1 {
				t.Errorf("a drain takes %v replicas along", o.Spec.MaxUnavailable)
			}
		}
	}
	if least := workloadOf(t, valuesOf(t, "least.yaml")); least.claims != 1 || variables(least)["LPBRIDGE_PEER_LISTEN"] != "" {
		t.Errorf("without PostgreSQL there are %d claims, and %v", least.claims, variables(least))
	}
}

// TestNumbers: YAML's numbers reach the program as they were written.
func TestNumbers(t *testing.T) {
	values, err := chartutil.ReadValues([]byte("env: {LP_ACCOUNT_ID: 12345678, LPBRIDGE_MAX_PENDING: 2000000, LP_MONITORING: true, LP_SKILL_ID: 4711000000}"))
	if err != nil {
		t.Fatal(err)
	}
	got := variables(workloadOf(t, chartutil.CoalesceTables(values, valuesOf(t, "least.yaml"))))
	for name, want := range map[string]string{"LP_ACCOUNT_ID": "12345678", "LPBRIDGE_MAX_PENDING": "2000000", "LP_MONITORING": "true", "LP_SKILL_ID": "4711000000"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// exampleOf are values that docs/deploy.md shows.
func exampleOf(t *testing.T, name string) map[string]any {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(page), "<!-- example:"+name+" -->\n```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatalf("docs/deploy.md has no example %s", name)
	}
	values, err := chartutil.ReadValues([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// TestExampleOfDocuments: the values that docs/deploy.md shows work as they stand.
func TestExampleOfDocuments(t *testing.T) {
	values := exampleOf(t, "chart")
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(decoded(t, rendered)); n != 6 {
		t.Errorf("%d objects were rendered, want 6", n)
	}
}

// TestReplicasOfDocuments: so do those for PostgreSQL, beside the others.
func TestReplicasOfDocuments(t *testing.T) {
	w := workloadOf(t, chartutil.CoalesceTables(exampleOf(t, "postgres"), exampleOf(t, "chart")))
	if w.replicas != 2 || variables(w)["LPBRIDGE_STORE"] != "postgres://lpbridge@db.example:5432/lpbridge?sslmode=verify-full&sslrootcert=/run/tls/postgres/ca.crt" {
		t.Errorf("%d replicas with %v", w.replicas, variables(w))
	}
}

// TestValuesAreDocumented: values.yaml names every value the schema knows, and the
// other way round.
func TestValuesAreDocumented(t *testing.T) {
	var schema struct {
		Properties map[string]any `json:"properties"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	delete(schema.Properties, "global")
	known, has := slices.Sorted(maps.Keys(schema.Properties)), slices.Sorted(maps.Keys(load(t).Values))
	if diff := cmp.Diff(known, has); diff != "" {
		t.Errorf("values.schema.json and values.yaml differ (-schema +values):\n%s", diff)
	}
	page, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(page, []byte("\t")) {
		t.Error("values.yaml has tabs")
	}
}
