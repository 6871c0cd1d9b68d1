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

func statefulSet(t *testing.T, values map[string]any) *appsv1.StatefulSet {
	t.Helper()
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range decoded(t, rendered) {
		if set, ok := o.(*appsv1.StatefulSet); ok {
			return set
		}
	}
	t.Fatal("there is no StatefulSet")
	return nil
}

// TestGolden renders each values file of testdata.
func TestGolden(t *testing.T) {
	for name, count := range map[string]int{"least": 5, "every-channel": 5, "everything": 7} {
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
	for _, name := range []string{"least", "every-channel", "everything"} {
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
		{"a misspelt value", "persistance: {size: 1Gi}", "persistance"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			change, err := chartutil.ReadValues([]byte(tc.set))
			if err != nil {
				t.Fatal(err)
			}
			values := chartutil.CoalesceTables(change, valuesOf(t, "least.yaml"))
			if _, err := render(t, values); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("helm says %v, want %q", err, tc.want)
			}
		})
	}
}

// TestHardened: what a Pod Security Standard of "restricted" asks for, and more.
func TestHardened(t *testing.T) {
	for _, name := range []string{"least", "everything"} {
		set := statefulSet(t, valuesOf(t, name+".yaml"))
		pod := set.Spec.Template.Spec
		if *set.Spec.Replicas != 1 {
			t.Errorf("%s: %d processes share a journal", name, *set.Spec.Replicas)
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

// TestNumbers: YAML's numbers reach the program as they were written.
func TestNumbers(t *testing.T) {
	values, err := chartutil.ReadValues([]byte("env: {LP_ACCOUNT_ID: 12345678, LPBRIDGE_MAX_PENDING: 2000000, LP_MONITORING: true, LP_SKILL_ID: 4711000000}"))
	if err != nil {
		t.Fatal(err)
	}
	set := statefulSet(t, chartutil.CoalesceTables(values, valuesOf(t, "least.yaml")))
	got := map[string]string{}
	for _, e := range set.Spec.Template.Spec.Containers[0].Env {
		got[e.Name] = e.Value
	}
	for name, want := range map[string]string{"LP_ACCOUNT_ID": "12345678", "LPBRIDGE_MAX_PENDING": "2000000", "LP_MONITORING": "true", "LP_SKILL_ID": "4711000000"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// TestExampleOfDocuments: the values that docs/deploy.md shows work as they stand.
func TestExampleOfDocuments(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, found := strings.Cut(string(page), "<!-- example:chart -->\n```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatal("docs/deploy.md has no example of the chart")
	}
	values, err := chartutil.ReadValues([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(decoded(t, rendered)); n != 6 {
		t.Errorf("%d objects were rendered, want 6", n)
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
