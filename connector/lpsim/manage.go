package lpsim

import (
	"embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
)

//go:embed page
var pageFS embed.FS

//go:embed openapi.yaml
var openAPI []byte

// problem is an RFC 9457 error of the management API.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Field names what was wrong with the request.
	Field string `json:"field,omitempty"`
}

// managementAPI is what is below /sim/, and the agent's page. Other sites must not reach it through a browser.
func managementAPI(s *Sim) http.Handler {
	m := newManagement(s)
	mux := m.mux
	pages, err := fs.Sub(pageFS, "page")
	if err != nil {
		panic("lpsim: page: " + err.Error())
	}
	mux.Handle("GET /{$}", http.FileServerFS(pages))
	mux.Handle("GET /page/", http.StripPrefix("/page/", http.FileServerFS(pages)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { writeProblem(w, errNotFound) })
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

var errNotFound = errors.New("no such page, or no such method for it")

// management registers the operations below /sim/. It does what it does through the exported methods of the simulator.
type management struct {
	sim *Sim
	mux *http.ServeMux
	// patterns are those registered, which openapi.yaml describes.
	patterns []string
}

func newManagement(s *Sim) *management {
	m := &management{sim: s, mux: http.NewServeMux()}
	m.conversations()
	m.agent()
	m.settings()
	m.inspection()
	m.serve("GET /sim/events", s.stream.serve)
	m.serve("GET /sim/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		w.Write(openAPI)
	})
	return m
}

// operation is what a request asks for: a status and a body, or an error.
type operation func(r *http.Request) (int, any, error)

func (m *management) serve(pattern string, do http.HandlerFunc) {
	m.patterns = append(m.patterns, pattern)
	m.mux.HandleFunc(pattern, do)
}

func (m *management) handle(pattern string, do operation) {
	m.serve(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 8<<20)
		status, body, err := do(r)
		if err != nil {
			writeProblem(w, err)
			return
		}
		writeJSON(w, status, body)
	})
}

// reading is an operation that begins with a JSON object.
func reading[T any](do func(r *http.Request, body T) (int, any, error)) operation {
	return func(r *http.Request) (int, any, error) {
		var body T
		if err := readBody(r, &body); err != nil {
			return 0, nil, err
		}
		return do(r, body)
	}
}

// telling is an operation that only tells something.
func telling[T any](what func() T) operation {
	return func(*http.Request) (int, any, error) { return http.StatusOK, what(), nil }
}

func (m *management) conversations() {
	m.handle("GET /sim/conversations", func(r *http.Request) (int, any, error) {
		limit, err := limitOf(r)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, m.sim.registry.newest(limit), nil
	})
	m.handle("POST /sim/conversations", reading(func(r *http.Request, body struct {
		Text string `json:"text"`
	}) (int, any, error) {
		return http.StatusCreated, map[string]string{"conversationId": m.sim.StartForeign(body.Text)}, nil
	}))
	m.handle("POST /sim/conversations/{id}/forget", func(r *http.Request) (int, any, error) {
		return m.shown(r, m.sim.Forget(r.PathValue("id")))
	})
	m.handle("POST /sim/conversations/{id}/disown", func(r *http.Request) (int, any, error) {
		return m.shown(r, m.sim.Disown(r.PathValue("id")))
	})
	m.handle("GET /sim/conversations/{id}", func(r *http.Request) (int, any, error) { return m.shown(r, nil) })
}

// limitOf is how many of a list are asked for, 0 for all.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 {
		return 0, &FieldError{"limit", "want a number above 0"}
	}
	return limit, nil
}

// shown answers with the conversation as it is now, unless something went wrong.
func (m *management) shown(r *http.Request, err error) (int, any, error) {
	if err != nil {
		return 0, nil, err
	}
	c, ok := m.sim.Conversation(r.PathValue("id"))
	if !ok {
		return 0, nil, ErrUnknownConversation
	}
	return http.StatusOK, c, nil
}

// agent has one operation for each thing an agent can do.
func (m *management) agent() {
	const agent = "POST /sim/conversations/{id}/agent/"
	m.handle(agent+"typing", reading(func(r *http.Request, body struct {
		Agent
		ChatState string `json:"chatState"`
	}) (int, any, error) {
		return m.shown(r, m.sim.AgentTyping(r.PathValue("id"), body.ChatState, body.Agent))
	}))
	m.handle(agent+"messages", reading(func(r *http.Request, body AgentMessage) (int, any, error) {
		sent, err := m.sim.AgentMessage(r.PathValue("id"), body)
		return http.StatusCreated, sent, err
	}))
	m.handle(agent+"read", reading(func(r *http.Request, body struct {
		Agent
		Status    string  `json:"status"`
		Sequences []int64 `json:"sequenceList"`
	}) (int, any, error) {
		sent, err := m.sim.AgentRead(r.PathValue("id"), body.Status, body.Sequences, body.Agent)
		return http.StatusOK, sent, err
	}))
	m.handle(agent+"close", reading(func(r *http.Request, body AgentClose) (int, any, error) {
		return m.shown(r, m.sim.AgentClose(r.PathValue("id"), body))
	}))
	m.handle(agent+"join", reading(func(r *http.Request, body struct {
		Agent
		State string `json:"state"`
	}) (int, any, error) {
		_, err := m.sim.AgentJoin(r.PathValue("id"), body.Agent, body.State)
		return m.shown(r, err)
	}))
	m.handle(agent+"dialogs", reading(func(r *http.Request, body struct {
		DialogType string `json:"dialogType"`
		State      string `json:"state"`
	}) (int, any, error) {
		_, err := m.sim.AgentDialog(r.PathValue("id"), body.DialogType, body.State)
		return m.shown(r, err)
	}))
	m.handle(agent+"lock", reading(func(r *http.Request, body struct {
		Locked *bool `json:"locked"`
	}) (int, any, error) {
		return m.shown(r, m.sim.AgentLock(r.PathValue("id"), body.Locked == nil || *body.Locked))
	}))
	m.handle(agent+"leave", reading(func(r *http.Request, body struct {
		Agent
		SkillID string `json:"skillId"`
	}) (int, any, error) {
		return m.shown(r, m.sim.AgentLeave(r.PathValue("id"), body.Agent, body.SkillID))
	}))
}

// settings are what can be read and replaced.
func (m *management) settings() {
	m.handle("GET /sim/faults", telling(m.sim.Faults))
	m.handle("PUT /sim/faults", reading(func(_ *http.Request, faults Faults) (int, any, error) {
		err := m.sim.SetFaults(faults)
		return http.StatusOK, m.sim.Faults(), err
	}))
	m.handle("GET /sim/webhooks", telling(m.sim.Webhooks))
	m.handle("PUT /sim/webhooks", reading(func(_ *http.Request, webhooks Webhooks) (int, any, error) {
		return http.StatusOK, webhooks, m.sim.SetWebhooks(webhooks)
	}))
	m.handle("GET /sim/script", telling(m.sim.Script))
	m.handle("PUT /sim/script", reading(func(_ *http.Request, script Script) (int, any, error) {
		return http.StatusOK, script, m.sim.SetScript(script)
	}))
	m.handle("GET /sim/agents", telling(m.sim.AgentProfiles))
	m.handle("PUT /sim/agents/{id}", reading(func(r *http.Request, profile AgentProfile) (int, any, error) {
		return http.StatusOK, profile, m.sim.SetAgentProfile(r.PathValue("id"), profile)
	}))
}

// inspection is what has happened, and how to forget it.
func (m *management) inspection() {
	m.handle("GET /healthz", telling(func() map[string]string { return map[string]string{"status": "ok"} }))
	m.handle("GET /sim/stats", telling(m.sim.Stats))
	m.handle("GET /sim/requests", func(r *http.Request) (int, any, error) {
		limit, err := limitOf(r)
		api := API(r.URL.Query().Get("api"))
		if err == nil && api != "" && api.index() < 0 {
			err = &FieldError{"api", "is none of LivePerson's"}
		}
		if err != nil {
			return 0, nil, err
		}
		return http.StatusOK, m.sim.Requests(api, limit), nil
	})
	m.handle("GET /sim/clock", telling(m.sim.clock))
	m.handle("POST /sim/clock", reading(func(_ *http.Request, body advancing) (int, any, error) {
		by, err := body.duration()
		if err == nil {
			err = m.sim.Advance(by)
		}
		return http.StatusOK, m.sim.clock(), err
	}))
	m.handle("POST /sim/reset", func(*http.Request) (int, any, error) {
		m.sim.Reset()
		return http.StatusOK, map[string]bool{"reset": true}, nil
	})
	m.handle("POST /sim/tokens/forget", func(*http.Request) (int, any, error) {
		m.sim.ForgetAppJWTs()
		return http.StatusOK, map[string]bool{"forgotten": true}, nil
	})
}

// readBody reads a JSON object; an empty body stands for an empty object.
func readBody(r *http.Request, v any) error {
	data, err := io.ReadAll(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &FieldError{"body", "is larger than 8 MiB"}
	}
	if err != nil {
		return &FieldError{"body", "was not received completely"}
	}
	if len(data) == 0 {
		return nil
	}
	return decodeStrict(data, v)
}

// secured sets the headers of every answer. The page is one's own and needs nothing from elsewhere.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func writeProblem(w http.ResponseWriter, err error) {
	p := problem{Type: "about:blank", Status: http.StatusBadRequest, Detail: err.Error()}
	field, isField := errors.AsType[*FieldError](err)
	switch {
	case isField:
		p.Field = field.Field
	case errors.Is(err, ErrUnknownConversation), errors.Is(err, errNotFound):
		p.Status = http.StatusNotFound
	case errors.Is(err, ErrConversationClosed):
		p.Status = http.StatusConflict
	}
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}
