package lpsim

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// installations is how administrators install apps: what the demo app of LivePerson's connector guide and LivePerson's own
// pages call. LivePerson documents the app's manifest (Webhooks Configuration), and headers and statuses for its other
// account configuration (Users API).
type installations struct {
	admins  *admins
	clients *clients
}

func (i *installations) serve(c *call) answer {
	if !i.admins.authorized(c) {
		return plainError(http.StatusUnauthorized)
	}
	i.clients.mu.Lock()
	defer i.clients.mu.Unlock()
	id := strings.Join(c.path[6:], "/")
	if id == "" {
		return i.serveAll(c)
	}
	one := i.clients.find(id)
	if one == nil {
		c.because("no app of this id is installed", pageUsers)
		return plainError(http.StatusNotFound)
	}
	return i.serveOne(c, one)
}

// serveAll lists what is installed, or installs one more.
func (i *installations) serveAll(c *call) answer {
	switch c.Method {
	case http.MethodGet:
		list := []map[string]any{}
		for _, one := range i.clients.all() {
			list = append(list, one.installed())
		}
		return i.stamped(http.StatusOK, list)
	case http.MethodPost:
		return i.install(c)
	}
	return notAllowed(c, "GET, POST")
}

// serveOne reads, replaces or deletes an installation. A POST may stand for the others, where a proxy knows no PUT.
func (i *installations) serveOne(c *call, one *client) answer {
	method := c.Method
	if override := c.Header.Get("X-HTTP-Method-Override"); method == http.MethodPost && override != "" {
		method = override
	}
	switch method {
	case http.MethodGet:
		return i.stamped(http.StatusOK, one.installed())
	case http.MethodPut:
		return i.update(c, one)
	case http.MethodDelete:
		if a, wrong := i.outdated(c); wrong {
			return a
		}
		i.clients.remove(one)
		i.clients.revision++
		return answer{status: http.StatusNoContent, header: i.revision()}
	}
	return notAllowed(c, "GET, PUT, DELETE")
}

func notAllowed(c *call, methods string) answer {
	c.because("the method is not one of "+methods, "")
	a := plainError(http.StatusMethodNotAllowed)
	a.allow = methods
	return a
}

func (i *installations) install(c *call) answer {
	one := &client{id: uuid.NewString(), secret: strings.ToLower(rand.Text()), webhooks: Webhooks{SHA256: i.clients.Webhooks.SHA256}}
	if a, wrong := i.fill(c, one); wrong {
		return a
	}
	i.clients.add(one)
	a := i.stamped(http.StatusCreated, one.installed())
	a.header["Location"] = strings.TrimSuffix(c.URL.Path, "/") + "/" + one.id
	return a
}

// update replaces everything that is not LivePerson's own: what the request leaves out is gone.
func (i *installations) update(c *call, one *client) answer {
	if a, wrong := i.outdated(c); wrong {
		return a
	}
	if a, wrong := i.fill(c, one); wrong {
		return a
	}
	i.clients.apply(one)
	return i.stamped(http.StatusOK, one.installed())
}

// outdated refuses a change of what the client has not seen the last state of.
func (i *installations) outdated(c *call) (answer, bool) {
	match := c.Header.Get("If-Match")
	switch {
	case match == "" && c.faults.MissingRevision == "reject":
		c.because("there is no If-Match with the ac-revision that was last read", undocumented)
	case match != "" && match != i.clients.revisionText():
		c.because("If-Match is not the present ac-revision, "+i.clients.revisionText(), pageUsers)
	default:
		return answer{}, false
	}
	return plainError(http.StatusPreconditionFailed), true
}

// fill gives an app the manifest of a request, or says what is wrong with it.
func (i *installations) fill(c *call, one *client) (answer, bool) {
	if !isJSON(c) {
		c.because("Content-Type is not application/json", pageUsers)
		return plainError(http.StatusBadRequest), true
	}
	manifest, webhooks, err := readManifest(c.body)
	if err != nil {
		c.because(err.Error(), pageWebhooks)
		return plainError(http.StatusBadRequest), true
	}
	var name string
	_ = json.Unmarshal(manifest["client_name"], &name)
	if i.clients.named(name, one) {
		c.because("another app has this client_name", pageWebhooks)
		return plainError(http.StatusConflict), true
	}
	webhooks.SHA256 = one.webhooks.SHA256
	one.manifest, one.webhooks = manifest, webhooks
	one.enabled.Store(string(manifest["enabled"]) != "false")
	return answer{}, false
}

// stamped is an answer with the revision of what it tells.
func (i *installations) stamped(status int, body any) answer {
	data, _ := json.Marshal(body)
	a := jsonAnswer(status, data)
	a.header = i.revision()
	return a
}

func (i *installations) revision() map[string]string {
	return map[string]string{"ac-revision": i.clients.revisionText()}
}

// installed is how an app's installation reads: as it was written, and with what LivePerson added.
func (c *client) installed() map[string]any {
	out := map[string]any{}
	for name, value := range c.manifest {
		out[name] = value
	}
	var can map[string]json.RawMessage
	if json.Unmarshal(c.manifest["capabilities"], &can) != nil || can == nil {
		can = map[string]json.RawMessage{}
	}
	can["webhooks"], _ = json.Marshal(c.webhooks.manifest())
	out["capabilities"] = can
	out["id"], out["client_id"], out["client_secret"] = c.id, c.id, c.secret
	out["client_id_issued_at"], out["client_secret_expires_at"] = c.issued, 0
	out["enabled"], out["deleted"] = c.enabled.Load(), false
	return out
}
